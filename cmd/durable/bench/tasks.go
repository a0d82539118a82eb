package bench

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/nats-io/nats.go"

	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/jsstore"
	"github.com/durable-execution/durable/workers"
)

// The tasks do almost nothing, because the bench measures the engine.
var (
	short    = engine.Define[[]byte, int]("bench-short")
	child    = engine.Define[[]byte, int]("bench-child")
	parent   = engine.Define[wide, int]("bench-parent")
	step     = engine.Define[[]byte, []byte]("bench-step")
	sequence = engine.Define[[]byte, []byte]("bench-sequence")
	delayed  = engine.Define[dated, int]("bench-delayed")
	long     = engine.Define[numbered, int]("bench-long", engine.NoTimeout)
)

// wide is the input of a parent.
type wide struct {
	Children int    `json:"children"`
	Payload  []byte `json:"payload"` // the input of each child
}

// dated is the input of a delayed execution.
type dated struct {
	Due     int64  `json:"due"` // nanoseconds since the epoch
	Payload []byte `json:"payload"`
}

// numbered is the input of an execution that will be cancelled.
type numbered struct {
	Number  uint64 `json:"number"`
	Payload []byte `json:"payload"`
}

// A ledger counts the work of the tasks in one process.
type ledger struct {
	ran  atomic.Int64
	long sync.Map // of number to *encounter

	mu   sync.Mutex
	late *hdrhistogram.Histogram
}

// An encounter connects a caller that cancels an execution with the attempt of the execution.
type encounter struct {
	began chan struct{}
	ended chan time.Time
}

func newLedger() *ledger { return &ledger{late: newHist()} }

// add adds the counts of the ledger to a usage. It reports each lateness once.
func (l *ledger) add(u usage) usage {
	u.Ran = l.ran.Load()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.late.TotalCount() > 0 {
		u.Late = l.late.Export()
		l.late = newHist()
	}
	return u
}

func (l *ledger) bindings(steps int) []engine.Binding {
	var chain engine.Step[[]byte, []byte] = step
	for range steps - 1 {
		chain = engine.Then(chain, step)
	}
	return []engine.Binding{
		engine.Bind(short, l.runShort),
		engine.Bind(child, l.runShort),
		engine.BindParent(parent, l.runParent, l.finish),
		engine.Bind(step, l.runStep),
		engine.BindSequence(sequence, chain),
		engine.Bind(delayed, l.runDelayed),
		engine.Bind(long, l.runLong),
	}
}

func (l *ledger) runShort(_ context.Context, in []byte) (int, error) {
	l.ran.Add(1)
	return len(in), nil
}

func (l *ledger) runParent(_ context.Context, in wide, kids *engine.Children) (int, error) {
	l.ran.Add(1)
	for range in.Children {
		child.Spawn(kids, in.Payload)
	}
	return in.Children, nil
}

// finish is the finalize of a parent. It reads the output of each child.
func (l *ledger) finish(_ context.Context, j engine.Joined[wide, int]) (int, error) {
	l.ran.Add(1)
	list := child.Results(j.Children)
	for i, r := range list {
		if n, err := r.Get(); err != nil || n != len(j.Input.Payload) {
			return 0, fmt.Errorf("output of child %d is %d, want %d: %w", i, n, len(j.Input.Payload), err)
		}
	}
	if len(list) != j.Output {
		return 0, fmt.Errorf("%d children ended, want %d", len(list), j.Output)
	}
	return len(list), nil
}

func (l *ledger) runStep(_ context.Context, in []byte) ([]byte, error) {
	l.ran.Add(1)
	return in, nil
}

func (l *ledger) runDelayed(_ context.Context, in dated) (int, error) {
	late := time.Since(time.Unix(0, in.Due))
	l.ran.Add(1)
	l.mu.Lock()
	defer l.mu.Unlock()
	return 0, l.late.RecordValue(max(late.Nanoseconds(), 0))
}

func (l *ledger) runLong(ctx context.Context, in numbered) (int, error) {
	l.ran.Add(1)
	found, ok := l.long.Load(in.Number)
	if !ok {
		return 0, fmt.Errorf("no caller waits for number %d", in.Number)
	}
	e := found.(*encounter)
	close(e.began)
	<-ctx.Done()
	e.ended <- time.Now()
	return 0, context.Cause(ctx)
}

// A crew describes an executor of the tasks.
type crew struct {
	URL       string `json:"url"`
	Namespace string `json:"namespace"`
	Slots     int    `json:"slots"`
	Steps     int    `json:"steps"`
	Grouped   bool   `json:"grouped,omitempty"` // see GroupWrites in jsstore.Config
}

// start connects and runs an executor, until the returned function is called.
func (c crew) start(ctx context.Context) (*ledger, func() error, error) {
	s, err := jsstore.Connect(ctx, c.URL, jsstore.Config{Namespace: c.Namespace, GroupWrites: c.Grouped}, nats.Name("durable bench"))
	if err != nil {
		return nil, nil, err
	}
	l := newLedger()
	stop, err := c.execute(s, l, func(error) {})
	if err != nil {
		_ = s.Close()
		return nil, nil, err
	}
	return l, func() error {
		err := stop()
		_ = s.Close()
		return err
	}, nil
}

// execute runs an executor on s until stop is called. If the executor ends with an error, it
// calls failed.
func (c crew) execute(s engine.Store, l *ledger, failed func(error)) (stop func() error, err error) {
	x, err := workers.New(s, workers.Config{Slots: c.Slots, Drain: workers.NoDrain, Logger: slog.New(slog.DiscardHandler)}, l.bindings(c.Steps)...)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		err := x.Run(ctx)
		if err != nil {
			failed(err)
		}
		ended <- err
	}()
	return func() error { cancel(); return <-ended }, nil
}
