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

// trouble tracks failures of background work, by kind of work. It logs when a kind of work
// begins to fail and when it works again, and counts the failures in between. A kind of work
// fails as long as one of its callers has not succeeded since its failure, whatever the others
// do.
// A kind of work that fails and recovers frequently is logged once a minute, with the number of
// failures that were left out.
type trouble struct {
	log *slog.Logger

	failures atomic.Int64 // the length of now, so that over rarely needs the lock

	mu     sync.Mutex
	now    map[string]*failure       // by kind of work
	counts map[string]int            // of all failures so far, by kind of work
	lines  map[string]*engine.Spells // by kind of work: how often it is logged
}

// A failure is a kind of background work that fails now.
type failure struct {
	since time.Time
	count int
	who   map[any]bool // the callers that have not succeeded since they failed
}

// failed notes that the work named what has failed for who. Later, who must call over.
func (t *trouble) failed(what string, who any, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.now == nil {
		t.now, t.counts = map[string]*failure{}, map[string]int{}
		t.lines = map[string]*engine.Spells{}
	}
	t.counts[what]++
	f := t.now[what]
	if f == nil {
		f = &failure{since: time.Now(), who: map[any]bool{}}
		t.now[what] = f
		t.failures.Add(1)
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
	f.count++
	f.who[who] = true
}

// over notes that the work named what has succeeded for who, or is not needed any more.
func (t *trouble) over(what string, who any) {
	if t.failures.Load() == 0 {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	f := t.now[what]
	if f == nil || !f.who[who] {
		return
	}
	if delete(f.who, who); len(f.who) > 0 {
		return
	}
	delete(t.now, what)
	t.failures.Add(-1)
	if t.lines[what].Ends() {
		t.log.Info("background work succeeds again", "what", what,
			"failures", f.count, "after", time.Since(f.since))
	}
}

// The pause between two tries of background work grows from firstPause to lastPause.
const (
	firstPause = 20 * time.Millisecond
	lastPause  = 2 * time.Second
)

// steady calls fn until it succeeds or the executor is killed.
func (x *Executor) steady(what string, fn func(context.Context) error) {
	var who *int // identifies this call of steady, once fn has failed
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

// steadyUntilStop is steady for work that another executor can do if it gets the messages held:
// once this executor shuts down, it returns the messages after the next try that fails.
func (x *Executor) steadyUntilStop(what string, fn func(context.Context) error, held ...*hand) {
	x.steady(what, func(ctx context.Context) error {
		err := fn(ctx)
		if err == nil || !isClosed(x.stopping) {
			return err
		}
		x.giveUp(ctx, held...)
		return nil
	})
}

// giveUpPause bounds how often an executor that shuts down gets such a message: twice a second. The
// executors that take over get it as late as that.
const giveUpPause = 500 * time.Millisecond

// giveUp returns messages that this executor can't handle while it shuts down. They are delivered
// after a pause: this executor takes closures and cancellations until its attempts have ended, so
// that without a pause it would get them back at once, over and over.
func (x *Executor) giveUp(ctx context.Context, held ...*hand) {
	for _, h := range held {
		if h.Return(ctx, now().Add(giveUpPause), false) != nil {
			h.drop() // another executor gets it after the lease
		}
	}
}

// strays counts attempts whose code still runs strayAfter after they were stopped.
type strays struct {
	mu  sync.Mutex
	now int
}

// strayAfter is how long code may take to return after its context has ended.
const strayAfter = 5 * time.Second

// watch counts an attempt that was stopped as a stray from strayAfter until its code returns.
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

// stackOf returns the stack of the goroutine that runs x. It finds the goroutine by its labels
// in a goroutine profile, which separates goroutines by empty lines.
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

// Stats says what an executor does at the moment.
type Stats struct {
	// Running counts attempts whose outcome is not recorded yet.
	Running int
	// InHand counts all messages that the executor holds. Held counts those of executions,
	// by queue.
	InHand int
	Held   map[string]int
	// Strays counts attempts whose code ignores that its context has ended: it has not
	// returned 5 s later.
	Strays int
	// Failures counts failures of background work, by the kind of work, since the executor
	// was made.
	Failures map[string]int
}

// Stats returns what the executor does at the moment.
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
