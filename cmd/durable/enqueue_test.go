package main

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/jsstore/embedded"
	"github.com/durable-execution/durable/workers"
)

type greeting struct {
	Name string `json:"name"`
}

var (
	greets  = engine.Define[greeting, string]("greet")
	refuses = engine.Define[greeting, string]("refuse")
	idles   = engine.DefineSleeping[string, bool]("idle")
)

// working runs an executor with three tasks until the test ends, and returns the directory of
// its store.
func working(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	s, err := embedded.Open(t.Context(), embedded.Config{Dir: dir, Port: -1})
	if err != nil {
		t.Fatal(err)
	}
	x, err := workers.New(s, workers.Config{Name: "one", Slots: 8, Queues: map[string]int{"default": 1, "mail": 2}},
		engine.Bind(greets, func(_ context.Context, g greeting) (string, error) { return "hello " + g.Name, nil }),
		engine.Bind(refuses, func(_ context.Context, g greeting) (string, error) { return "", errors.New("not " + g.Name) }),
		engine.BindSleeping(idles),
	)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ran := make(chan error, 1)
	go func() { ran <- x.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ran; err != nil {
			t.Error(err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	for deadline := time.Now().Add(10 * time.Second); ; {
		answers, err := s.RollCall(t.Context(), engine.RollCall{For: 100 * time.Millisecond})
		if err != nil || time.Now().After(deadline) {
			t.Fatalf("the executor does not answer: %v", err)
		}
		if len(answers) == 1 {
			return dir
		}
	}
}

// typing runs the program with a text on standard input.
func typing(ctx context.Context, in string, args ...string) outcome {
	var out, errs lockedBuffer
	code := run(ctx, args, streams{in: strings.NewReader(in), out: screen{Writer: &out}, err: screen{Writer: &errs}})
	return outcome{code, out.String(), errs.String()}
}

func TestEnqueueing(t *testing.T) {
	dir, files := working(t), t.TempDir()
	write(t, files, "in.json", `{"name":"file"}`)
	t.Chdir(files)
	var said strings.Builder
	for _, c := range []struct {
		in, args string
		code     int
	}{
		{"", `enqueue greet {"name":"world"} --id a`, exitOK},
		{"", `enqueue greet {"name":"world"} --id a --json`, exitOK}, // the same execution
		{"", `enqueue greet {"name":"moon"} --id a`, exitIncomplete},
		{"", `wait a`, exitOK},
		{"", `wait a --timeout 1m --json`, exitOK},
		{"", `enqueue greet @in.json --wait`, exitOK},
		{`{"name":"stdin"}`, `enqueue greet - --wait --queue mail --timeout 1m --retries 2`, exitOK},
		{"", `enqueue refuse {"name":"me"} --id b --wait --retries 1 --retry-delay 1ms`, exitIncomplete},
		{"", `wait b`, exitIncomplete},
		{"", `wait b --json`, exitIncomplete},
		{"", `enqueue idle "x" --id c`, exitOK},
		{"", `wait c --timeout 100ms`, exitIncomplete},
		{"", `wait nosuch`, exitNotFound},
		{"", `enqueue greet {"name":1}`, exitUsage},
		{"", `enqueue greet`, exitUsage},
		{"", `enqueue greet {`, exitUsage},
		{"", `enqueue greet @nosuch.json`, exitUsage},
		{"", `enqueue greet - `, exitUsage},
		{"", `enqueue greet {"name":"x"} --queue other --id d`, exitOK},
		{"", `enqueue nosuch {} --id e`, exitNotFound},
		{"", `enqueue gret {"name":"x"}`, exitNotFound},
		{"", `enqueue gret --lines`, exitNotFound},
		{"", `enqueue nosuch {} --id e --force`, exitOK},
		{"", `enqueue idle "x" --id g --wait --wait-timeout 100ms --timeout 1h`, exitIncomplete},
		{"", `enqueue idle "x" --wait-timeout 1s`, exitUsage},
		{"", `enqueue idle "x" --wait --wait-timeout -1s`, exitUsage},
		{"", `enqueue greet {"name":1} --unchecked --id f --delay 1h`, exitOK},
		{"{\"name\":\"1\"}\n\n{\"name\":2}\n{\nnull\n{\"name\":\"5\"}", `enqueue greet --lines`, exitIncomplete},
		{"", `enqueue greet --lines`, exitOK},
		{"", `enqueue greet {} --lines`, exitUsage},
		{"", `enqueue greet --lines --id x`, exitUsage},
		{"", `enqueue greet --lines --wait`, exitUsage},
		{"", `enqueue greet {"name":"x"} --retry-delay 1s`, exitUsage},
		{"", `enqueue greet {"name":"x"} --retries -1`, exitUsage},
		{"", `enqueue greet {"name":"x"} --queue a.b`, exitUsage},
		{"", `enqueue a.b`, exitUsage},
		{"", `enqueue`, exitUsage},
	} {
		o := typing(t.Context(), c.in, append(strings.Fields(c.args), "--dir", dir)...)
		if o.code != c.code {
			t.Errorf("durable %s: exit code = %d, want %d", c.args, o.code, c.code)
		}
		said.WriteString("$ durable " + c.args + "\n" + o.out + o.err + "\n")
	}
	golden(t, "enqueue", scrubIDs(scrub(strings.ReplaceAll(said.String(), dir, "STORE"), files)))
}

func TestManyLinesAreEnqueuedInTheirOrder(t *testing.T) {
	dir := working(t)
	const n = 2*linesAtOnce + 7
	in := strings.Repeat(`{"name":"x"}`+"\n", n)
	o := typing(t.Context(), in, "enqueue", "greet", "--lines", "--dir", dir).want(t, exitOK)
	ids := strings.Fields(o.out)
	seen := map[string]bool{}
	for _, id := range ids {
		seen[id] = true
	}
	if len(ids) != n || len(seen) != n {
		t.Fatalf("%d ids, %d of them different, want %d", len(ids), len(seen), n)
	}
	for _, id := range []string{ids[0], ids[n-1]} {
		if o := durable(t, "wait", id, "--dir", dir).want(t, exitOK); o.out != "\"hello x\"\n" {
			t.Errorf("output of %s = %s", id, o.out)
		}
	}
}

func TestEnqueueingWhereNobodyExecutes(t *testing.T) {
	dir := t.TempDir()
	if o := durable(t, "enqueue", "greet", "--dir", dir).want(t, exitStore); !strings.Contains(o.err, "there is no store in") {
		t.Errorf("stderr = %q", o.err)
	}
	s, err := embedded.Open(t.Context(), embedded.Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	o := durable(t, "enqueue", "greet", "--id", "a", "--dir", dir).want(t, exitOK)
	if o.out != "a\n" || !strings.HasPrefix(o.err, "note: no executor is running in this store") {
		t.Errorf("stdout %q, stderr %q", o.out, o.err)
	}
	o = durable(t, "wait", "a", "--dir", dir).want(t, exitIncomplete)
	if !strings.HasPrefix(o.err, "durable: a is ready, and no executor is running in this store\n") {
		t.Errorf("stderr = %q", o.err)
	}
}

func TestInputWithoutAnEndIsRefused(t *testing.T) {
	dir := working(t)
	for _, args := range [][]string{{"--lines"}, {"-"}} {
		var out, errs lockedBuffer
		code := run(t.Context(), append([]string{"enqueue", "greet", "--dir", dir}, args...), streams{in: zeros{}, out: screen{Writer: &out}, err: screen{Writer: &errs}})
		if code != exitUsage || !strings.Contains(errs.String(), "has more than 64 MiB\n") {
			t.Errorf("%v: exit code %d, stderr %q", args, code, errs.String())
		}
	}
}

// A zeros is a reader like /dev/zero.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// A typist types lines and then stops typing: its last Read does not return.
type typist struct {
	lines io.Reader
	idle  chan struct{}
	once  *sync.Once
}

func (r typist) Read(p []byte) (int, error) {
	if n, _ := r.lines.Read(p); n > 0 {
		return n, nil
	}
	r.once.Do(func() { close(r.idle) })
	select {}
}

func TestAnInterruptionEndsReading(t *testing.T) {
	dir := working(t)
	for _, c := range []struct {
		args []string
		in   string
		out  int // lines
		err  string
	}{
		{[]string{"--lines"}, "{\"name\":\"1\"}\n{\n\n{\"name\":\"2\"}\n", 2,
			"durable: line 2 is not JSON: {: unexpected end of JSON input\nhint: quote a text for JSON as well as for the shell: '\"text\"'\n" +
				"durable: interrupted after line 4: 2 executions were enqueued, 1 line failed\nhint: tail -n +5 prints the remaining lines\n"},
		{[]string{"--lines"}, "", 0, "durable: interrupted after line 0: 0 executions were enqueued\nhint: tail -n +1 prints the remaining lines\n"},
		{[]string{"-"}, "{", 0, "durable: interrupted\n"},
	} {
		ctx, interrupt := context.WithCancel(t.Context())
		idle := make(chan struct{})
		var out, errs lockedBuffer
		code := make(chan int, 1)
		go func() {
			code <- run(ctx, append([]string{"enqueue", "greet", "--dir", dir}, c.args...),
				streams{in: typist{strings.NewReader(c.in), idle, new(sync.Once)}, out: screen{Writer: &out}, err: screen{Writer: &errs}})
		}()
		<-idle
		for deadline := time.Now().Add(20 * time.Second); strings.Count(out.String(), "\n") < c.out && time.Now().Before(deadline); {
			time.Sleep(10 * time.Millisecond)
		}
		interrupt()
		if got := <-code; got != exitInterrupted || strings.Count(out.String(), "\n") != c.out || errs.String() != c.err {
			t.Errorf("%v: exit code %d, stdout %q, stderr %q, want %d, %d lines, %q", c.args, got, out.String(), errs.String(), exitInterrupted, c.out, c.err)
		}
	}
}

func TestLinesShowABarOnATerminalThatIdsDoNotGoTo(t *testing.T) {
	dir := working(t)
	t.Setenv("NO_COLOR", "1")
	write(t, dir, "in.jsonl", strings.Repeat("{\"name\":\"x\"}\n", 1200)+"rubbish\n")
	for _, terminal := range []bool{true, false} {
		f, err := os.Open(filepath.Join(dir, "in.jsonl"))
		if err != nil {
			t.Fatal(err)
		}
		var out, errs lockedBuffer
		code := run(t.Context(), []string{"enqueue", "greet", "--lines", "--dir", dir},
			streams{in: f, out: screen{Writer: &out}, err: screen{Writer: &errs, terminal: terminal, columns: 80}})
		if code != exitIncomplete || strings.Count(out.String(), "\n") != 1200 {
			t.Errorf("exit code %d, %d ids, want %d, 1200", code, strings.Count(out.String(), "\n"), exitIncomplete)
		}
		if got := strings.Contains(errs.String(), "1,200 enqueued, 1 failed stopped [15.2 KiB in "); got != terminal {
			t.Errorf("terminal %v: stderr %q", terminal, errs.String())
		}
		if !strings.HasSuffix(errs.String(), "durable: 1 line was not enqueued\n") || strings.Count(errs.String(), "line 1201 is not JSON: rubbish") != 1 {
			t.Errorf("terminal %v: stderr %q", terminal, errs.String())
		}
		f.Close()
	}
}

func TestAnInterruptedWaitSaysSo(t *testing.T) {
	dir := working(t)
	durable(t, "enqueue", "idle", `"x"`, "--id", "a", "--dir", dir).want(t, exitOK)
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	o := durableIn(ctx, screen{}, "wait", "a", "--dir", dir).want(t, exitInterrupted)
	if o.err != "durable: interrupted\n" {
		t.Errorf("stderr = %q", o.err)
	}
}
