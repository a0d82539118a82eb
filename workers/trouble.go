package workers

import (
	"bytes"
	"context"
	"log/slog"
	"runtime/pprof"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/durable-execution/durable/engine"
)

// trouble keeps account of what fails in the background. Each sort of failure is
// logged when it begins and when it is over, and counted in between: one that
// goes on among others that succeed is one failure all the time. One that comes and goes is
// logged once a minute, with how often it was left out.
type trouble struct {
	log *slog.Logger

	spells atomic.Int64 // of now, to be seen without the lock by all that has not failed

	mu     sync.Mutex
	now    map[string]*spell
	counts map[string]int
	lines  map[string]*engine.Spells // by what fails: how often it is logged
}

// A spell is a failure that goes on.
type spell struct {
	since time.Time
	count int
	who   map[any]bool // has not succeeded since it failed
}

// failed notes that what has failed for who, which must tell of the end by over.
func (t *trouble) failed(what string, who any, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.now == nil {
		t.now, t.counts = map[string]*spell{}, map[string]int{}
		t.lines = map[string]*engine.Spells{}
	}
	t.counts[what]++
	s := t.now[what]
	if s == nil {
		s = &spell{since: time.Now(), who: map[any]bool{}}
		t.now[what] = s
		t.spells.Add(1)
	}
	if t.lines[what] == nil {
		t.lines[what] = &engine.Spells{}
	}
	if tell, left := t.lines[what].Fails(time.Now()); tell {
		fields := []any{"what", what, "error", err}
		if left > 0 {
			fields = append(fields, "not logged", left)
		}
		t.log.Warn("background work fails: it is tried again", fields...)
	}
	s.count++
	s.who[who] = true
}

// over notes that what has succeeded for who, or is not wanted any more.
func (t *trouble) over(what string, who any) {
	if t.spells.Load() == 0 {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.now[what]
	if s == nil || !s.who[who] {
		return
	}
	if delete(s.who, who); len(s.who) > 0 {
		return
	}
	delete(t.now, what)
	t.spells.Add(-1)
	if t.lines[what].Ends() {
		t.log.Info("background work succeeds again", "what", what,
			"failures", s.count, "after", time.Since(s.since))
	}
}

// The pause between two tries of what must be done grows from the first to the second.
const (
	firstPause = 20 * time.Millisecond
	lastPause  = 2 * time.Second
)

// steady does fn, again and again until it succeeds or the executor is killed.
func (x *Executor) steady(what string, fn func(context.Context) error) {
	var who *int // this call and no other, once it has failed
	for pause := firstPause; x.kill.Err() == nil; pause = min(2*pause, lastPause) {
		err := fn(x.kill)
		if err == nil && who != nil {
			x.trouble.over(what, who)
		}
		if err == nil || x.kill.Err() != nil {
			return
		}
		if who == nil {
			who = new(int)
		}
		x.trouble.failed(what, who, err)
		select {
		case <-time.After(pause):
		case <-x.kill.Done():
		}
	}
}

// steadyUntilStop is steady for what another executor can do as well, with the messages held:
// once this one shuts down, a try that fails is the last, and the messages go back at once.
func (x *Executor) steadyUntilStop(what string, fn func(context.Context) error, held ...*hand) {
	x.steady(what, func(ctx context.Context) error {
		err := fn(ctx)
		if err == nil || !isClosed(x.stopping) {
			return err
		}
		for _, h := range held {
			if h.Return(ctx, time.Time{}, false) != nil {
				h.drop() // it comes to somebody after the lease
			}
		}
		return nil
	})
}

// strays counts attempts whose code goes on after its outcome was recorded.
type strays struct {
	mu  sync.Mutex
	now int
}

// strayAfter is how long code may take to notice that its context has ended.
const strayAfter = 5 * time.Second

// watch finds out whether the code of an attempt that has been stopped returns.
func (s *strays) watch(a *attempt) {
	if a.left.isOpen() {
		return
	}
	go func() {
		left := a.left.wait()
		timer := time.NewTimer(strayAfter)
		defer timer.Stop()
		select {
		case <-left:
			return
		case <-a.x.kill.Done():
			return
		case <-timer.C:
		}
		s.add(1)
		defer s.add(-1)
		a.x.log.Warn("code ignores that its context has ended: it holds a goroutine, and its result will be discarded",
			"execution", a.execution.ID, "task", a.execution.Task, "stack", stackOf(a.execution))
		select {
		case <-left:
		case <-a.x.kill.Done():
		}
	}()
}

func (s *strays) add(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now += n
}

func labels(x *engine.Execution) pprof.LabelSet {
	return pprof.Labels("durable.task", x.Task, "durable.execution", x.ID)
}

// stackOf returns the stack of the goroutine that runs x, found by its labels in
// a goroutine profile: blocks separated by empty lines.
func stackOf(x *engine.Execution) string {
	var profile bytes.Buffer
	if err := pprof.Lookup("goroutine").WriteTo(&profile, 1); err != nil {
		return err.Error()
	}
	for block := range strings.SplitSeq(profile.String(), "\n\n") {
		if strings.Contains(block, `"durable.execution":"`+x.ID+`"`) {
			return block
		}
	}
	return "not found"
}

// Stats is what an executor is at.
type Stats struct {
	// Running counts attempts whose outcome is open.
	Running int
	// InHand counts messages in hand, Held those of them that are executions, by queue.
	InHand int
	Held   map[string]int
	// Strays counts attempts that are over and whose code ignores it: it has not returned
	// 5 s after its context ended.
	Strays int
	// Failures counts, by what it was, the background work that has failed.
	Failures map[string]int
}

// Stats returns what the executor is at.
func (x *Executor) Stats() Stats {
	hands := x.hands.all()
	s := Stats{Running: len(x.attempts.all()), InHand: len(hands), Held: map[string]int{}, Failures: map[string]int{}}
	for _, h := range hands {
		if h.queue != "" {
			s.Held[h.queue]++
		}
	}
	x.strays.mu.Lock()
	s.Strays = x.strays.now
	x.strays.mu.Unlock()
	x.trouble.mu.Lock()
	defer x.trouble.mu.Unlock()
	for what, n := range x.trouble.counts {
		s.Failures[what] = n
	}
	return s
}
