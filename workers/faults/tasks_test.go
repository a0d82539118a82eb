//go:build unix

package faults

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"sync/atomic"
	"time"

	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/engine/history"
)

// A plant describes a random tree: for each execution, what it does and how it ends.
type plant struct {
	Kind     string        `json:",omitzero"` // "": a parent with a finalize; or of the kinds below
	Nap      time.Duration `json:",omitzero"`
	Fails    int           `json:",omitzero"` // this many attempts fail
	Retry    engine.Retry  `json:",omitzero"`
	WaitAll  bool          `json:",omitzero"`
	Branches []plant       `json:",omitzero"`
}

// Kinds without branches.
const (
	poll = "poll" // done at its third run
	line = "line" // a sequence of three steps
)

// A habit says how long the executions of a tree take.
type habit struct {
	naps    []time.Duration
	steady  bool // nothing fails
	breadth int
}

var restless = habit{
	naps:    []time.Duration{0, 0, 10 * time.Millisecond, 60 * time.Millisecond, 300 * time.Millisecond, 2500 * time.Millisecond},
	breadth: 4,
}

func (h habit) grow(r *rand.Rand, depth int) plant {
	p := plant{
		Nap: h.naps[r.IntN(len(h.naps))], WaitAll: r.IntN(2) == 0,
		Retry: engine.Retry{MaxRetries: 2, BaseDelay: []time.Duration{0, 30 * time.Millisecond, 1200 * time.Millisecond}[r.IntN(3)]},
	}
	if !h.steady && r.IntN(4) == 0 {
		p.Fails = 1 + r.IntN(3)
	}
	switch n := r.IntN(8); {
	case n == 0:
		return plant{Kind: poll, Nap: p.Nap, Retry: p.Retry}
	case n == 1:
		return plant{Kind: line, Nap: p.Nap, Retry: p.Retry}
	case depth > 0:
		for range r.IntN(h.breadth) {
			p.Branches = append(p.Branches, h.grow(r, depth-1))
		}
	}
	return p
}

// ends returns how the root of p ends, and its output if it completes.
func (p plant) ends() (engine.Status, int) {
	switch {
	case p.Kind == line:
		return engine.Completed, 3
	case p.Fails > p.Retry.MaxRetries:
		return engine.Failed, 0
	}
	sum := 1
	for _, b := range p.Branches {
		status, n := b.ends()
		if status != engine.Completed && !p.WaitAll {
			return engine.ChildrenFailed, 0
		}
		sum += n
	}
	return engine.Completed, sum
}

func (p plant) options() []engine.Option {
	policy := engine.FailFast
	if p.WaitAll {
		policy = engine.WaitAll
	}
	return []engine.Option{p.Retry, policy}
}

// The tasks. Each step of a line passes on a number to add.
type step struct {
	Nap time.Duration
	Sum int
}

var (
	plants   = engine.Define[plant, int]("plant")
	polls    = engine.DefinePoll[plant, int]("poll", engine.Poll{Every: 150 * time.Millisecond})
	lines    = engine.Define[step, step]("line")
	steps    = engine.Define[step, step]("step", engine.Retry{MaxRetries: 2})
	sleepers = engine.DefineSleeping[int, int]("sleeper")
	killers  = engine.Define[int, int]("killer")
	hangers  = engine.Define[time.Duration, int]("hanger", engine.Timeout(500*time.Millisecond))
	// strangers are bound by few executors.
	strangers = engine.Define[int, int]("stranger")
	oddities  = engine.Define[int, any]("oddity")
)

var errLuck = errors.New("bad luck")

// bindings returns the bindings of an executor that writes each attempt to a history.
func bindings(book *history.Log) []engine.Binding {
	live := func(ctx context.Context, nap time.Duration) error {
		defer begin(ctx, book)()
		select {
		case <-time.After(nap):
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return []engine.Binding{
		engine.BindParent(plants, func(ctx context.Context, p plant, c *engine.Children) (int, error) {
			if err := live(ctx, p.Nap); err != nil {
				return 0, err
			}
			if engine.FromContext(ctx).Attempt < p.Fails {
				return 0, errLuck
			}
			for _, b := range p.Branches {
				b.spawn(c)
			}
			return len(p.Branches), nil
		}, func(ctx context.Context, j engine.Joined[plant, int]) (int, error) {
			if err := live(ctx, 0); err != nil {
				return 0, err
			}
			return j.Input.sum(j.Children)
		}, engine.Retry{MaxRetries: 2}),
		engine.BindPoll(polls, func(ctx context.Context, p plant) (int, bool, error) {
			return 1, engine.FromContext(ctx).Polls == 2, live(ctx, p.Nap/3)
		}),
		engine.Bind(steps, func(ctx context.Context, s step) (step, error) {
			return step{s.Nap, s.Sum + 1}, live(ctx, s.Nap/3)
		}),
		engine.BindSequence(lines, engine.Then(engine.Then(steps, steps), steps)),
		engine.Bind(killers, func(ctx context.Context, _ int) (int, error) {
			begin(ctx, book)
			write(book, history.Event{Kind: history.Struck, Place: history.Executor, Text: "os.Exit"})
			os.Exit(7)
			return 0, nil
		}),
		engine.Bind(hangers, func(ctx context.Context, d time.Duration) (int, error) {
			defer begin(ctx, book)()
			time.Sleep(d) // regardless of the context
			return 0, nil
		}),
		engine.Bind(oddities, func(ctx context.Context, _ int) (any, error) {
			defer begin(ctx, book)()
			return func() {}, nil
		}),
	}
}

func (p plant) spawn(c *engine.Children) {
	switch p.Kind {
	case poll:
		polls.Spawn(c, p, p.options()...)
	case line:
		lines.Spawn(c, step{Nap: p.Nap})
	default:
		plants.Spawn(c, p, p.options()...)
	}
}

// sum adds up the outputs of children.
func (p plant) sum(list engine.Ended) (int, error) {
	sum := 1
	for i, e := range list {
		switch {
		case e.Index != i:
			return 0, engine.Permanent(fmt.Errorf("child %d at place %d", e.Index, i))
		case e.Status != engine.Completed && p.WaitAll:
			continue
		case e.Task == lines.ID():
			var s step
			if err := e.Decode(&s); err != nil {
				return 0, err
			}
			sum += s.Sum
			continue
		}
		var n int
		if err := e.Decode(&n); err != nil {
			return 0, err
		}
		sum += n
	}
	return sum, nil
}

var runs atomic.Int64

// begin writes that an attempt began, and returns a function that writes that it has ended.
func begin(ctx context.Context, book *history.Log) func() {
	r := engine.FromContext(ctx)
	e := history.Event{
		Kind: history.Began, Execution: r.ExecutionID, Task: r.TaskID, Attempt: r.Attempt,
		Run: fmt.Sprintf("%d-%d", os.Getpid(), runs.Add(1)),
	}
	write(book, e)
	struck(phaseRun, true)
	return func() {
		e.Kind = history.Left
		if ctx.Err() != nil {
			e.Text = context.Cause(ctx).Error()
		}
		write(book, e)
	}
}

// write writes an event at the time of the machine.
func write(book *history.Log, e history.Event) {
	e.At = machineTime()
	if err := book.Add(e); err != nil {
		panic(err)
	}
}

func text(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(b)
}
