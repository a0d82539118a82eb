package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/jsstore/jstest"
)

// How the clients in JavaScript wait when something goes wrong. Users copy these two files.

// waitingExamples are the examples that wait for an execution of greet.
var waitingExamples = []string{"publish.mjs", "enqueue.mjs"} // the second waits with durable.mjs

// A waiting example is a process of node, and what the test hears of it.
type waiting struct {
	nc      *nats.Conn
	id      string             // of the execution
	notices *nats.Subscription // each notice of an end
	release chan struct{}      // closed by the test: greet returns
	pauses  chan string        // each pause, in milliseconds: the example looked, and it had not ended
	out     bytes.Buffer       // not before done
	errs    lockedBuffer
	done    chan error
}

// waits runs an executor, whose greet waits for the test and then returns what result does, and an
// example that waits for it. What pauses are: see testdata/js/pauses.mjs.
func waits(t *testing.T, url, file, pauses string, result func() (string, error)) *waiting {
	t.Helper()
	dir := javascript(t)
	w := &waiting{release: make(chan struct{}), pauses: make(chan string, 1000), done: make(chan error, 1)}
	executes(t, url, engine.Bind(engine.Define[person, string]("greet"), func(ctx context.Context, _ person) (string, error) {
		select {
		case <-w.release:
			return result()
		case <-ctx.Done():
			return "", context.Cause(ctx)
		}
	}))
	var err error
	if w.nc, err = nats.Connect(url); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.nc.Close)
	const ready = "durable.ready.default.greet."
	enqueued := subscribed(t, w.nc, ready+"*")
	w.notices = subscribed(t, w.nc, "durable.ended.*")
	w.node(t, dir, []string{"NATS_URL=" + url, "PAUSES=" + pauses}, "--import", "./pauses.mjs", file)
	w.id = strings.TrimPrefix(w.next(t, enqueued).Subject, ready)
	return w
}

// node starts a process, which the end of the test kills.
func (w *waiting) node(t *testing.T, dir string, env []string, args ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	cmd := exec.CommandContext(ctx, "node", args...)
	cmd.Dir, cmd.Env, cmd.Stdout = dir, append(os.Environ(), env...), &w.out
	errs, err := cmd.StderrPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for lines := bufio.NewScanner(errs); lines.Scan(); {
			fmt.Fprintln(&w.errs, lines.Text())
			if ms, ok := strings.CutPrefix(lines.Text(), "pause "); ok {
				select {
				case w.pauses <- ms:
				default: // far too many, which the test notices
				}
			}
		}
		close(w.pauses)
		w.done <- cmd.Wait()
	}()
	t.Cleanup(func() {
		cancel()
		<-ended
	})
}

func subscribed(t *testing.T, nc *nats.Conn, subject string) *nats.Subscription {
	t.Helper()
	s, err := nc.SubscribeSync(subject)
	if err == nil {
		err = nc.Flush()
	}
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// next returns the next message of one of the test's subscriptions.
func (w *waiting) next(t *testing.T, s *nats.Subscription) *nats.Msg {
	t.Helper()
	m, err := s.NextMsg(30 * time.Second)
	if err != nil {
		t.Fatalf("%s: %v\nstderr of the example:\n%.2000s", s.Subject, err, w.errs.String())
	}
	return m
}

// paused returns once the example has looked and pauses.
func (w *waiting) paused(t *testing.T) {
	t.Helper()
	if _, ok := <-w.pauses; !ok {
		t.Fatalf("the example has ended: %v\nstderr:\n%.2000s", <-w.done, w.errs.String())
	}
}

// more returns the pauses of the example, up to its end, that no call of paused has returned.
func (w *waiting) more() (list []string) {
	for ms := range w.pauses {
		list = append(list, ms)
	}
	return list
}

// prints fails unless the example ends well and prints a line that begins like this.
func (w *waiting) prints(t *testing.T, want string) {
	t.Helper()
	if err := <-w.done; err != nil || !strings.HasPrefix(w.out.String(), want) {
		t.Errorf("exit: %v, stdout:\n%.200s\nwant %q\nstderr:\n%.2000s", err, w.out.String(), want, w.errs.String())
	}
}

func TestJavaScriptExampleSaysWhyAnExecutionFailed(t *testing.T) {
	w := waits(t, jstest.Listening(t).URL(), "publish.mjs", "endless", func() (string, error) { return "", errors.New("no luck") })
	close(w.release)
	w.prints(t, "failed no luck\n")
}

func TestJavaScriptClientThrowsWhyAnExecutionFailed(t *testing.T) {
	w := waits(t, jstest.Listening(t).URL(), "enqueue.mjs", "endless", func() (string, error) { return "", errors.New("no luck") })
	close(w.release)
	if err, says := <-w.done, w.errs.String(); err == nil || !strings.Contains(says, "of task greet failed: no luck") {
		t.Errorf("exit: %v, want an error; stderr has no reason:\n%s", err, says)
	}
}

// The server sends the notices to another subject, so that no waiter gets one.
func TestJavaScriptExamplesLookThoughTheNoticeIsLost(t *testing.T) {
	for _, file := range waitingExamples {
		t.Run(file, func(t *testing.T) {
			url := jstest.Start(t, parsed(t, `mappings: { "durable.ended.*": "lost.$1" }`)).ClientURL()
			w := waits(t, url, file, "none", func() (string, error) { return "hello", nil })
			lost := subscribed(t, w.nc, "lost.*")
			w.paused(t)
			close(w.release)
			w.prints(t, map[string]string{"publish.mjs": `completed "hello"`, "enqueue.mjs": "hello"}[file]+"\n")
			if m := w.next(t, lost); m.Subject != "lost."+w.id {
				t.Errorf("lost: %s, want the notice of %s", m.Subject, w.id)
			}
			if n, _, err := w.notices.Pending(); n != 0 || err != nil {
				t.Errorf("%d notices (%v), want all of them lost", n, err)
			}
		})
	}
}

// The pauses of the example never end here, so that it looks again only when it hears a notice:
// first one that comes early, and then that of the end.
func TestJavaScriptExamplesLookWhenTheNoticeIsEmpty(t *testing.T) {
	for _, file := range waitingExamples {
		t.Run(file, func(t *testing.T) {
			long := strings.Repeat("x", 100<<10) // longer than a notice may be
			w := waits(t, jstest.Listening(t).URL(), file, "endless", func() (string, error) { return long, nil })
			w.paused(t)
			if err := w.nc.Publish("durable.ended."+w.id, nil); err != nil {
				t.Fatal(err)
			}
			w.next(t, w.notices) // the early one
			w.paused(t)
			select {
			case <-w.pauses:
				t.Error("looked again without a notice")
			case <-time.After(200 * time.Millisecond): // an example that does not wait looks every millisecond
			}
			close(w.release)
			if m := w.next(t, w.notices); len(m.Data) != 0 {
				t.Fatalf("the notice has %d bytes, want an empty one", len(m.Data))
			}
			w.prints(t, map[string]string{"publish.mjs": `completed "x`, "enqueue.mjs": "x"}[file])
			if more := w.more(); len(more) > 0 {
				t.Errorf("%d looks too many before the end: want one for each notice", len(more))
			}
		})
	}
}

func TestJavaScriptExampleGivesUpAfterAMinuteAndTheExecutionGoesOn(t *testing.T) {
	w := waits(t, jstest.Listening(t).URL(), "publish.mjs", "none", func() (string, error) { return "hello", nil })
	pauses := strings.Join(w.more(), " ")
	if err, says := <-w.done, w.errs.String(); err == nil || !strings.Contains(says, "Error: "+w.id+" is running after a minute; it goes on\n") {
		t.Errorf("exit: %v, want an error; stderr does not say that the execution goes on:\n%s", err, says)
	}
	if want := "2000 4000 8000 16000 30000"; pauses != want {
		t.Errorf("pauses = %s, want %s, as on the page", pauses, want)
	}
	close(w.release)
	x, err := engine.DecodeRecord(w.next(t, w.notices).Data)
	if err != nil || x.ID != w.id || x.Status != engine.Completed {
		t.Errorf("after the example has given up: %s is %s (%v), want %s completed", x.ID, x.Status, err, w.id)
	}
}

// parsed returns the options of a server with JetStream on a free port of loopback.
func parsed(t *testing.T, text string) *server.Options {
	t.Helper()
	dir := t.TempDir()
	write(t, dir, "nats.conf", "listen: \"127.0.0.1:-1\"\njetstream: { store_dir: \""+filepath.ToSlash(t.TempDir())+"\" }\n"+text)
	o, err := server.ProcessConfigFile(filepath.Join(dir, "nats.conf"))
	if err != nil {
		t.Fatal(err)
	}
	o.NoLog, o.NoSigs = true, true
	o.SyncInterval = time.Minute // as in jstest, for the same reason
	return o
}
