package workers

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/durable-execution/durable/codec"
	"github.com/durable-execution/durable/engine"
)

// Defaults of a [Config].
const (
	DefaultSlots    = 100
	DefaultGrace    = 50 * time.Millisecond // DESIGN: when `running` is recorded
	DefaultDrain    = 30 * time.Second
	DefaultCrashCap = 10
)

// Config says how an executor works. The zero Config is a good one.
type Config struct {
	// Name tells this executor from others, in records and logs. Empty means
	// host, process id and a random part.
	Name string
	// Slots is how many attempts run at once. Zero means DefaultSlots.
	Slots int
	// Queues are those that it serves, each with its weight, 1 at least: while all of
	// them have work, a queue gets slots in proportion to its weight; while others have
	// none, it may have all. None means engine.DefaultQueue.
	Queues map[string]int
	// Grace is how long an attempt runs before its record says running, where
	// nothing else asks for that: a shorter one is recorded by its outcome alone.
	// Zero means DefaultGrace.
	Grace time.Duration
	// Drain is how long running attempts may go on when the executor shuts down.
	// Zero means DefaultDrain; NoDrain hands them back at once.
	Drain time.Duration
	// CrashCap is how many times an execution may lose its executor in the middle
	// of an attempt and still be tried again. Zero means DefaultCrashCap.
	CrashCap int
	// Codec writes inputs and outputs and reads them; an execution whose input it
	// lacks a key for is left to other executors. Nil means that of the zero
	// codec.Config.
	Codec *codec.Codec
	// NoAPI keeps the executor from serving the API of its store to other clients,
	// which it does beside its work where the store has one: see [engine.Service].
	NoAPI bool
	// Logger gets what an operator should know, with the executor's name: WARN for each
	// attempt that failed and is tried again, ERROR for each execution that failed, INFO
	// for its own life and cancellations. Nil means slog.Default(). A program that logs by
	// zap gives slog.New(zapslog.NewHandler(logger.Core())), of go.uber.org/zap/exp/zapslog.
	Logger *slog.Logger
}

// NoDrain hands running attempts back at once when the executor shuts down.
const NoDrain time.Duration = -1

func (c Config) withDefaults() (Config, error) {
	if c.Name == "" {
		host, err := os.Hostname()
		if err != nil {
			host = "unknown"
		}
		c.Name = fmt.Sprintf("%s-%d-%s", host, os.Getpid(), strconv.FormatUint(uint64(rand.Uint32()), 36))
	}
	if c.Slots == 0 {
		c.Slots = DefaultSlots
	}
	if len(c.Queues) == 0 {
		c.Queues = map[string]int{engine.DefaultQueue: 1}
	}
	if c.Grace == 0 {
		c.Grace = DefaultGrace
	}
	if c.Drain == 0 {
		c.Drain = DefaultDrain
	}
	if c.CrashCap == 0 {
		c.CrashCap = DefaultCrashCap
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	switch {
	case c.Slots < 0:
		return c, fmt.Errorf("%d slots: negative", c.Slots)
	case c.Grace < 0:
		return c, fmt.Errorf("grace %s: negative", c.Grace)
	case c.Drain < 0 && c.Drain != NoDrain:
		return c, fmt.Errorf("drain %s: negative", c.Drain)
	case c.CrashCap < 0:
		return c, fmt.Errorf("crash cap %d: negative", c.CrashCap)
	}
	for q, weight := range c.Queues {
		if err := engine.ValidateQueue(q); err != nil {
			return c, err
		}
		if weight < 1 {
			return c, fmt.Errorf("queue %s: weight %d: less than 1", q, weight)
		}
	}
	return c, nil
}

// An Executor runs the attempts of the tasks bound to it. Any number of them
// share the work of a store.
type Executor struct {
	config   Config
	log      *slog.Logger
	store    engine.Store
	client   *engine.Client
	bindings map[string]engine.Binding

	crew     *crew
	hands    hands
	attempts registry
	heard    *heard
	trouble  trouble
	strays   strays
	parents  parents
	fleet    fleet
	types    types
	seldom   seldom
	gaps     gaps

	started  atomic.Bool
	health   health
	gone     chan struct{}      // closed when the store is: see lose
	leaving  atomic.Bool        // the shutdown is about to begin
	stopping chan struct{}      // closed when the shutdown begins
	kill     context.Context    // ends when what is under way must be left
	end      context.CancelFunc // of kill
}

// New returns an executor of the tasks bound by bs. It refuses a task that is bound twice, or
// defined twice with different types, be it as a finalize or a step of another, and one that is
// its own finalize or step, and names both places; code for a task that sleeps, which would
// never run; and what is nil.
func New(store engine.Store, c Config, bs ...engine.Binding) (*Executor, error) {
	if store == nil {
		return nil, errors.New("new executor: the store is nil")
	}
	c, err := c.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("new executor: %w", err)
	}
	x := &Executor{
		config: c, store: store, client: engine.NewClient(store, engine.WithCodec(c.Codec)), bindings: map[string]engine.Binding{}, crew: newCrew(),
		log: c.Logger.With("executor", c.Name), stopping: make(chan struct{}), gone: make(chan struct{}),
	}
	x.trouble.log = x.log
	x.gaps.met = make(chan struct{}, 1)
	x.heard = newHeard(store.Limits().Lease)
	x.kill, x.end = context.WithCancel(context.Background())
	for _, b := range bs {
		for b := &b; b != nil; b = b.Finalize {
			if err := x.bind(*b); err != nil {
				return nil, fmt.Errorf("new executor: %w", err)
			}
		}
	}
	if err := engine.CheckBindings(x.bindings); err != nil {
		return nil, fmt.Errorf("new executor: %w", err)
	}
	return x, nil
}

func (x *Executor) bind(b engine.Binding) error {
	if err := b.Check(); err != nil {
		return err
	}
	if first, twice := x.bindings[b.ID]; twice {
		return fmt.Errorf("task %q is bound twice: at %s and at %s", b.ID, first.Place, b.Place)
	}
	x.bindings[b.ID] = b
	return x.client.Know(b.Definition)
}

// Client returns a client of the executor's store that refuses to enqueue once
// the executor shuts down.
func (x *Executor) Client() *engine.Client { return x.client }

// Name returns the executor's name.
func (x *Executor) Name() string { return x.config.Name }

// Run executes until ctx ends, then shuts down: it claims nothing more, gives
// running attempts the drain time to finish, hands back the others, and returns
// when every effect of what it has recorded is durable. It returns an error if
// it can't begin, or was run before. A store that fails later is waited for, however
// long; but one that is closed, or whose connection is closed for good, ends it at once:
// the contexts of running attempts end with the error, which wraps [engine.ErrClosed], and
// others go on with them after the lease. What is then to be done is to open the store
// again, most simply by starting the program again.
func (x *Executor) Run(ctx context.Context) error {
	err := errors.New("it has been run before")
	if x.started.CompareAndSwap(false, true) {
		err = x.run(ctx)
		x.health.stopped(err)
	}
	if err != nil && ctx.Err() != nil && (errors.Is(err, ctx.Err()) || errors.Is(err, context.Cause(ctx))) {
		return nil // the shutdown came before the start was over
	}
	if err != nil {
		return fmt.Errorf("run executor %s: %w", x.config.Name, err)
	}
	return nil
}

func (x *Executor) run(ctx context.Context) error {
	defer x.fleet.asks.Wait() // which end ends
	defer x.end()
	defer x.crew.dismiss()
	defer x.client.Close()
	leave, err := x.attend(ctx)
	if err != nil {
		return err
	}
	defer leave()
	// Listen before taking anything: a cancellation must not slip in between.
	unwatch, err := x.store.Watch(ctx, engine.Topic{}, x.notice)
	if err != nil {
		return err
	}
	defer unwatch()
	closures, err := x.store.Closures(ctx)
	if err != nil {
		return err
	}
	defer closures.Close()
	cancels, err := x.store.Cancels(ctx)
	if err != nil {
		return err
	}
	defer cancels.Close()
	expiries, err := x.store.Expiries(ctx)
	if err != nil {
		return err
	}
	defer expiries.Close()
	feeds := map[string]faulty{"closures": closures, "cancellations": cancels, "expiries": expiries}
	var queues []engine.Feed[*engine.Delivery]
	defer func() {
		for _, q := range queues {
			q.Close()
		}
	}()
	names := slices.Sorted(maps.Keys(x.config.Queues))
	var weights []int
	for _, name := range names {
		q, err := x.store.Claim(ctx, name)
		if err != nil {
			return err
		}
		queues, weights = append(queues, q), append(weights, x.config.Queues[name])
		feeds["queue "+name] = q
	}
	stopServing, err := x.serve(ctx)
	if err != nil {
		return err
	}
	defer stopServing()

	var loops sync.WaitGroup
	stopLease := make(chan struct{})
	loops.Go(func() { x.keepLeases(stopLease) })
	loops.Go(func() { x.fireOverdue(x.stopping) })
	loops.Go(func() { x.keepPulse(stopLease) })
	loops.Go(func() { x.takeClosures(closures) })
	loops.Go(func() { x.takeCancels(cancels) })
	loops.Go(func() { x.takeExpiries(expiries) })
	slots := newSlots(x.config.Slots, queues, weights)
	for _, l := range slots.lanes {
		loops.Go(func() { x.takeExecutions(l, slots) })
	}
	loops.Go(x.lookForGaps) // which asks who is there, or the first message that is for others found nobody
	x.log.Info("executor runs", "queues", names, "slots", x.config.Slots)

	x.health.runs(feeds)
	select {
	case <-ctx.Done():
	case <-x.gone:
	}
	go stopServing() // the other instances answer what comes now
	x.drain(queues)
	closures.Close()
	cancels.Close()
	expiries.Close()
	x.flush(&loops, stopLease)
	if err := x.health.lost(); err != nil {
		return err
	}
	x.log.Info("executor has stopped")
	return nil
}

// lose leaves everything that is under way, since the store is closed: nothing of it can
// be recorded.
func (x *Executor) lose(reason error) {
	if !x.health.lose(reason) {
		return
	}
	close(x.gone)
	x.end()
	attempts := x.attempts.all()
	x.log.Error("store is closed: everything is left to other executors", "running", len(attempts), "error", reason)
	for _, a := range attempts {
		go a.abandon(reason)
	}
}

func now() time.Time { return time.Now().UTC().Truncate(time.Millisecond) }
