//go:build unix

package faults

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/engine/history"
	"github.com/durable-execution/durable/jsstore/doctor"
)

// engineError returns the status of an execution that ended, if the error says it.
func engineError(err error) *engine.ExecutionError {
	var e *engine.ExecutionError
	errors.As(err, &e)
	return e
}

// settle waits until every execution has ended and no work is left. Then it stops the executors, reads
// the records, and checks the history. At least one executor without faults must run.
func (f *fleet) settle() history.History {
	f.t.Helper()
	done := make(chan struct{})
	go func() { f.watching.Wait(); close(done) }()
	for idle, mend := f.idle(settleTime), f.mend; ; {
		select {
		case <-done:
		case <-time.After(100 * time.Millisecond):
			if !idle() {
				continue
			}
			if mend { // a message that its consumer skipped is in the way
				f.mended()
				idle, mend = f.idle(settleTime), false
				continue
			}
			f.note(history.Event{Kind: history.Note, Text: "waiting for outcomes was given up"})
		}
		break
	}
	f.drained(settleTime / 2)
	if f.mend {
		f.mended()
		f.drained(settleTime / 2)
	}
	for _, m := range f.alive() {
		m.stop()
	}
	f.drained(0)
	f.records()
	h, err := history.Open(f.path)
	f.check(err)
	f.judge(history.Check(h))
	return h
}

// settleTime is how long nothing may happen before the test gives up, after the last fault and while
// work is left. The tests reach it only if something is wrong.
const settleTime = 40 * time.Second

// idle returns a function that reports whether nothing has been written to the history for this long.
// The total time depends on the machine and its other load, so the tests do not limit it.
func (f *fleet) idle(patience time.Duration) func() bool {
	size, since := int64(-1), time.Now()
	return func() bool {
		info, err := os.Stat(f.path)
		f.check(err)
		if info.Size() != size {
			size, since = info.Size(), time.Now()
		}
		return time.Since(since) > patience
	}
}

// drained waits until the streams are empty. If they are not, it returns the subjects of the messages.
func (f *fleet) drained(patience time.Duration) {
	f.t.Helper()
	most := 0
	for idle := f.idle(patience); ; time.Sleep(50 * time.Millisecond) {
		left, err := f.left()
		if err == nil && len(left) == 0 {
			return
		}
		if err == nil && len(left) != most {
			most, idle = len(left), f.idle(patience)
		}
		if !idle() {
			continue
		}
		if patience > 0 {
			return // executors may acknowledge their last messages while they stop
		}
		if err != nil {
			f.t.Errorf("look into the streams: %v", err)
		}
		for _, subject := range left {
			f.note(history.Event{Kind: history.Leftover, Text: subject})
		}
		return
	}
}

// left returns the subjects of the messages in the streams of work.
func (f *fleet) left() ([]string, error) {
	ctx, cancel := context.WithTimeout(f.ctx, 5*time.Second)
	defer cancel()
	nc := f.servers.Connect()
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		return nil, err
	}
	var list []string
	for _, name := range []string{"ready", "timers", "control"} {
		s, err := js.Stream(ctx, f.ns+"-"+name)
		if err != nil {
			return nil, err
		}
		info, err := s.Info(ctx, jetstream.WithSubjectFilter(">"))
		if err != nil {
			return nil, err
		}
		for subject := range info.State.Subjects {
			if !strings.Contains(subject, "=expire") {
				list = append(list, subject)
			}
		}
	}
	return list, nil
}

// mended lets the doctor repair what nats-server is known to break when it is killed, as an operator
// would: removed records come back (package jstest shows how), and a consumer skips a message or an
// acknowledged message returns below its ack floor. It runs once everything has halted, and logs each
// repair. Any other repair is a fault of ours.
func (f *fleet) mended() {
	f.t.Helper()
	found, err := doctor.Examine(f.ctx, f.servers.Connect(), doctor.Config{Namespace: f.ns, Sample: 1_000_000, Mend: true})
	f.check(err)
	for _, x := range found.Findings {
		if x.Mended == "" {
			continue
		}
		what := fmt.Sprintf("%s: %s: %s", x.Check, x.Found, x.Mended)
		f.note(history.Event{Kind: history.Note, Text: "doctor --mend: " + what})
		if slices.Contains([]string{"work.expired", "work.orphans", "consumer.skipped"}, x.Check) {
			f.t.Logf("doctor --mend: %s", what)
			continue
		}
		f.t.Errorf("there was something for doctor --mend to do: %s", what)
	}
}

// records writes all records to the history, each read from the leader.
func (f *fleet) records() {
	f.t.Helper()
	ids := map[string]bool{}
	for x, err := range f.client.List(f.ctx, engine.Filter{}) {
		f.check(err)
		ids[x.ID] = true
	}
	for id := range ids {
		x, err := f.client.Get(f.ctx, id)
		f.check(err)
		x.Spawns, x.Steps, x.Finalize = nil, nil, bare(x.Finalize)
		f.note(history.Event{Kind: history.Final, Execution: id, Record: &x})
	}
}

// bare returns a spawn with nothing but its task, for a record in a history.
func bare(s *engine.Spawn) *engine.Spawn {
	if s == nil {
		return nil
	}
	return &engine.Spawn{Task: s.Task}
}

// judge fails the test for each violation of a rule, and keeps the history.
func (f *fleet) judge(found []history.Violation) {
	f.t.Helper()
	if len(found) == 0 && !f.t.Failed() {
		return
	}
	var lines []string
	for _, v := range found {
		lines = append(lines, v.String())
	}
	if n := len(lines); n > 20 {
		lines = append(lines[:20], fmt.Sprintf("and %d more", n-20))
	}
	path, err := f.keep()
	if err != nil {
		f.t.Errorf("keep the history: %v", err)
	}
	f.t.Errorf("seed %d, history kept in %s (durable history prints it):\n%s", f.seed, path, strings.Join(lines, "\n"))
}

func (f *fleet) keep() (string, error) {
	from, err := os.Open(f.path)
	if err != nil {
		return "", err
	}
	defer from.Close()
	name := strings.Map(func(r rune) rune {
		if strings.ContainsRune("/: ", r) {
			return '-'
		}
		return r
	}, f.t.Name())
	to, err := os.Create(filepath.Join(os.TempDir(), fmt.Sprintf("durable-%s-%d.jsonl", name, f.seed)))
	if err != nil {
		return "", err
	}
	defer to.Close()
	_, err = io.Copy(to, from)
	return to.Name(), err
}
