package main

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/durable-execution/durable/engine"
)

// developing runs durable dev in dir until the test ends or stop is called. stop returns the
// output.
func developing(t *testing.T, dir string, args ...string) (stop func() outcome) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var out, errs lockedBuffer
	code := make(chan int, 1)
	go func() {
		code <- run(ctx, append([]string{"dev", "--dir", dir, "--port", "-1"}, args...), streams{out: screen{Writer: &out}, err: screen{Writer: &errs}})
	}()
	stop = func() outcome { cancel(); c := <-code; code <- c; return outcome{c, out.String(), errs.String()} }
	t.Cleanup(func() { stop() })
	for deadline := time.Now().Add(20 * time.Second); !strings.HasSuffix(out.String(), "\n"); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) || len(code) > 0 {
			t.Fatalf("dev prints nothing: %s", errs.String())
		}
	}
	return stop
}

func TestDevRunsItsSamples(t *testing.T) {
	dir := t.TempDir()
	stop := developing(t, dir)
	for _, c := range []struct{ task, input, want string }{
		{"greet", `{"name":"world"}`, `"hello world"`},
		{"nap", `{"seconds":0.01}`, `"slept 10ms"`},
		{"flaky", `{"failures":1}`, `"attempt 1 succeeded"`},
		{"sumOfSquares", `{"numbers":[1,2,3]}`, `14`},
	} {
		if o := durable(t, "enqueue", c.task, c.input, "--wait", "--dir", dir).want(t, exitOK); o.out != c.want+"\n" || o.err != "" {
			t.Errorf("%s %s = %s%s, want %s", c.task, c.input, o.out, o.err, c.want)
		}
	}
	for _, s := range sampleInputs { // the commands that dev prints work
		durable(t, "enqueue", s.task, s.input, "--delay", "1h", "--dir", dir).want(t, exitOK)
	}
	other := durable(t, "dev", "--dir", dir).want(t, exitStore)
	if !strings.Contains(other.err, "hint: durable list") {
		t.Errorf("a second dev says %q", other.err)
	}
	durable(t, "dev", "--server", "nats://127.0.0.1:1").want(t, exitUsage)
	durable(t, "dev", "--port", "0").want(t, exitUsage)
	durable(t, "dev", "--slots", "0").want(t, exitUsage)
	o := stop().want(t, exitOK)
	if n := strings.Count(o.err, "attempt failed: trying again task=flaky"); n != 1 || strings.Count(o.err, "\n") != 1 {
		t.Errorf("dev logs %q, want a warning of the attempt that failed", o.err)
	}
	golden(t, "dev", scrub(o.out, dir))
}

func TestWatchingTellsWhatChangesUntilTheEnd(t *testing.T) {
	dir := t.TempDir()
	developing(t, dir, "--json")
	durable(t, "enqueue", "approve", `"may I?"`, "--id", "ask", "--dir", dir).want(t, exitOK)

	ctx, cancel := context.WithCancel(t.Context())
	var out, errs lockedBuffer
	ended := make(chan int, 1)
	go func() {
		ended <- run(ctx, []string{"watch", "--json", "--dir", dir}, streams{out: screen{Writer: &out}, err: screen{Writer: &errs}})
	}()
	one := make(chan outcome, 1)
	go func() { one <- durableIn(ctx, screen{}, "watch", "ask", "--dir", dir) }()
	until := func(what func() bool) {
		t.Helper()
		for deadline := time.Now().Add(20 * time.Second); !what(); time.Sleep(10 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("watch has said %s%s", out.String(), errs.String())
			}
		}
	}
	seen := func(status engine.Status) bool {
		for line := range strings.Lines(out.String()) {
			var v view
			if json.Unmarshal([]byte(line), &v) == nil && v.Task == "greet" && v.Status == status {
				return true
			}
		}
		return false
	}
	// Enqueue until watch reports one: nothing else shows that it has subscribed.
	until(func() bool {
		durable(t, "enqueue", "greet", `{"name":"x"}`, "--dir", dir).want(t, exitOK)
		return seen(engine.Completed)
	})
	cancel2 := time.AfterFunc(20*time.Second, cancel)
	defer cancel2.Stop()
	durable(t, "wake", "ask", "--output", "true", "--dir", dir).want(t, exitOK)
	if o := (<-one).want(t, exitOK); !strings.HasSuffix(o.out, "  ask  approve  completed\n") {
		t.Errorf("watch ask says %q", o.out)
	}
	if o := durable(t, "watch", "ask", "--dir", dir).want(t, exitOK); strings.Count(o.out, "\n") != 1 {
		t.Errorf("watch of what has finished says %q", o.out)
	}
	durable(t, "watch", "nosuch", "--dir", dir).want(t, exitNotFound)
	durable(t, "watch", "a", "b").want(t, exitUsage)
	cancel()
	if code := <-ended; code != exitInterrupted {
		t.Errorf("exit code %d, want %d", code, exitInterrupted)
	}
}
