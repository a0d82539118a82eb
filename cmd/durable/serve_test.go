package main

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
)

// served runs durable serve until the test ends, or stop is called, which returns how
// it ended, and returns where the server is.
func served(t *testing.T, args ...string) (url string, stop func() outcome) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var out, errs lockedBuffer
	code := make(chan int, 1)
	go func() {
		code <- run(ctx, append([]string{"serve", "--json"}, args...), streams{out: screen{Writer: &out}, err: screen{Writer: &errs}})
	}()
	stop = func() outcome { cancel(); c := <-code; code <- c; return outcome{c, out.String(), errs.String()} }
	t.Cleanup(func() { stop() })
	for deadline := time.Now().Add(20 * time.Second); !strings.Contains(out.String(), "\n"); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) || len(code) > 0 {
			t.Fatalf("serve says nothing: %s", errs.String())
		}
	}
	var where struct{ Server string }
	if err := json.Unmarshal([]byte(out.String()), &where); err != nil {
		t.Fatal(err)
	}
	return where.Server, stop
}

func TestServeAnswersWhoHasNothingButNATS(t *testing.T) {
	dir := t.TempDir()
	url, stop := served(t, "--dir", dir)
	nc, err := nats.Connect(url)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	ask := func(endpoint, body string) string {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		m, err := nc.RequestWithContext(ctx, "durable.api."+endpoint, []byte(body))
		if err != nil {
			t.Fatal(err)
		}
		return string(m.Data)
	}
	if got := ask("enqueue", `{"taskId":"greet","executionId":"42","input":{"name":"world"}}`); got != `{"executionId":"42"}` {
		t.Errorf("enqueue = %s", got)
	}
	if got := durable(t, "get", "42", "--json", "--dir", dir).want(t, exitOK).out; !strings.Contains(got, `"status":"ready"`) {
		t.Errorf("get = %s", got)
	}
	// A second one for the same directory goes through the first.
	if other, stop := served(t, "--dir", dir); other != url {
		t.Errorf("the second serves %s, want %s", other, url)
	} else {
		stop().want(t, exitOK)
	}
	if got := ask("get", `{"executionId":"42"}`); !strings.Contains(got, `"input":{"name":"world"}`) {
		t.Errorf("get = %s", got)
	}
	stop().want(t, exitOK)
	durable(t, "serve", "--dir", dir, "--port", "0").want(t, exitUsage)
	durable(t, "serve", "--server", "nats://127.0.0.1:1").want(t, exitStore)
}

// TestNoRequestIsLostToAnInstanceThatStops asks without a pause while instances come
// and go beside one that stays.
func TestNoRequestIsLostToAnInstanceThatStops(t *testing.T) {
	dir := t.TempDir()
	url, stop := served(t, "--dir", dir)
	nc, err := nats.Connect(url)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	enough, asked := make(chan struct{}), make(chan error, 8)
	for range cap(asked) {
		go func() {
			for {
				select {
				case <-enough:
					asked <- nil
					return
				default:
				}
				ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
				_, err := nc.RequestWithContext(ctx, "durable.api.get", []byte(`{"executionId":"nobody"}`))
				cancel()
				if err != nil {
					asked <- err
					return
				}
			}
		}()
	}
	for range 8 {
		_, other := served(t, "--dir", dir)
		other().want(t, exitOK)
	}
	close(enough)
	for range cap(asked) {
		if err := <-asked; err != nil {
			t.Errorf("a request has no answer: %v", err)
		}
	}
	stop().want(t, exitOK)
}
