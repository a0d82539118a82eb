package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/jsstore/api"
	"github.com/durable-execution/durable/jsstore/embedded"
	"github.com/durable-execution/durable/jsstore/index"
)

// served runs durable serve until the test ends or stop is called, and returns the URL of the
// server. stop returns the exit code.
func served(t *testing.T, args ...string) (url string, stop func() outcome) {
	t.Helper()
	url, _, stop = serving(t, args...)
	return url, stop
}

// serving is [served], and also returns the buffer of stderr.
func serving(t *testing.T, args ...string) (url string, errs *lockedBuffer, stop func() outcome) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var out lockedBuffer
	errs = &lockedBuffer{}
	code := make(chan int, 1)
	go func() {
		code <- run(ctx, append([]string{"serve", "--json"}, args...), streams{out: screen{Writer: &out}, err: screen{Writer: errs}})
	}()
	stop = func() outcome { cancel(); c := <-code; code <- c; return outcome{c, out.String(), errs.String()} }
	t.Cleanup(func() { stop() })
	for deadline := time.Now().Add(20 * time.Second); !strings.Contains(out.String(), "\n"); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) || len(code) > 0 {
			t.Fatalf("serve prints nothing: %s", errs.String())
		}
	}
	var where struct{ Server string }
	if err := json.Unmarshal([]byte(out.String()), &where); err != nil {
		t.Fatal(err)
	}
	return where.Server, errs, stop
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
	// A second serve for the same directory connects to the first one.
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

// TestNoRequestIsLostToAnInstanceThatStops sends requests without a pause. One instance stays
// while others start and stop.
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

// TestAnIndexedServiceListsWhatAScanLists requests the same pages from two services of one
// namespace. One of them has an index.
func TestAnIndexedServiceListsWhatAScanLists(t *testing.T) {
	dir := shelf(t)
	file := filepath.Join(t.TempDir(), "index.db")
	var said [2][]string
	for i, args := range [][]string{nil, {"--index", file}} {
		url, errs, stop := serving(t, append(args, "--dir", dir)...)
		nc, err := nats.Connect(url)
		if err != nil {
			t.Fatal(err)
		}
		for deadline := time.Now().Add(20 * time.Second); args != nil && errs.String() == ""; time.Sleep(10 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatal("the index is never complete")
			}
		}
		for _, query := range []string{
			``, `"limit":4`, `"roots":true`, `"status":"failed","queue":"money"`, `"status":["failed","ready"],"limit":3`, `"status":["completed"]`, `"taskId":"pay","limit":1`, `"executionIdPrefix":"mail"`, `"parentId":"order-1"`,
			`"error":"1 refused"`, `"metadata":{"team":"blue"}`, `"metadata":{"team":"blue","order":"42"}`, `"metadata":{"team":"green"}`,
			`"createdAt":{"from":1732364880000}`, `"createdAt":{"until":1732363800000}`, `"finishedAt":{"from":1732363200000,"until":1732363560000}`, `"startedAt":{"from":1732365180000}`,
		} {
			cursor := ""
			for range 5 {
				body := `{"cursor":"` + cursor + `"`
				if query != "" {
					body += "," + query
				}
				m, err := nc.Request("durable.api.list", []byte(body+"}"), 10*time.Second)
				if err != nil {
					t.Fatal(err)
				}
				said[i] = append(said[i], query+" "+string(m.Data))
				var page struct{ Cursor string }
				if err := json.Unmarshal(m.Data, &page); err != nil {
					t.Fatal(err)
				}
				if cursor = page.Cursor; cursor == "" {
					break
				}
			}
		}
		nc.Close()
		o := stop().want(t, exitOK)
		if says := strings.HasPrefix(o.err, "note: the index is complete: 1"); says != (args != nil) || strings.Count(o.err, "\n") > 1 {
			t.Errorf("%v: stderr = %q", args, o.err)
		}
	}
	if len(said[0]) != len(said[1]) {
		t.Errorf("%d pages by a scan, %d by the index", len(said[0]), len(said[1]))
	}
	for i := range min(len(said[0]), len(said[1])) {
		if said[0][i] != said[1][i] {
			t.Errorf("by a scan:\n%s\nby the index:\n%s", said[0][i], said[1][i])
		}
		if strings.Contains(said[0][i], `"error":{"code"`) {
			t.Error(said[0][i])
		}
	}
	write(t, dir, "file", "")
	durable(t, "serve", "--dir", dir, "--index", filepath.Join(dir, "file", "x")).want(t, exitStore)
}

// TestAServedIndexThatIsDamagedIsBuiltAgain damages the file of an index while it is in use.
func TestAServedIndexThatIsDamagedIsBuiltAgain(t *testing.T) {
	s, err := embedded.Open(t.Context(), embedded.Config{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	stock(t, s.Store)
	file := filepath.Join(t.TempDir(), "index.db")
	var errs lockedBuffer
	a := &app{streams: streams{err: screen{Writer: &errs}}}
	i, stop, err := a.serveIndex(&store{js: s.Store}, file)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { stop() }()
	find := func() (list []engine.Execution) {
		t.Helper()
		for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
			list, behind, err := i.Find(t.Context(), engine.Filter{Error: "refused"}, engine.Cursor{}, 3)
			if err == nil && behind == 0 {
				return list
			}
			if !errors.Is(err, api.ErrNoIndex) && !errors.Is(err, index.ErrIncomplete) || time.Now().After(deadline) {
				t.Fatalf("behind by %d, %v", behind, err)
			}
		}
	}
	want := find()
	if len(want) != 3 || want[0].ID != "order-3.0" {
		t.Errorf("found %+v", want)
	}
	stop()
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for at := 4096; at < len(whole); at += 4096 { // damage all pages except the first, which has the tables
		copy(whole[at:], bytes.Repeat([]byte("rubbish "), 512))
	}
	if err := os.WriteFile(file, whole, 0o600); err != nil {
		t.Fatal(err)
	}
	if i, stop, err = a.serveIndex(&store{js: s.Store}, file); err != nil {
		t.Fatal(err)
	}
	if got := find(); !reflect.DeepEqual(got, want) {
		t.Errorf("the rebuilt index finds %+v, want %+v", got, want)
	}
}
