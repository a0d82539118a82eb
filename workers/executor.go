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
	DefaultGrace    = 50 * time.Millisecond // see "When a record is written" in engine/DESIGN.md
	DefaultDrain    = 30 * time.Second
	DefaultCrashCap = 10
)

// Config configures an executor. The zero Config is a good choice.
type Config struct {
	// Name identifies the executor in records and logs. Empty means host, process id and
	// a random part.
	Name string
	// Slots is how many attempts run at once. Zero means DefaultSlots.
	Slots int
	// Queues has the queues that the executor serves, each with its weight of at least 1.
	// While all of them have work, a queue gets slots in proportion to its weight. While the
	// others have no work, it may use all slots. Empty means engine.DefaultQueue.
	Queues map[string]int
	// Grace is how long an attempt runs before its record says running. A shorter attempt
	// leaves no record but its outcome. Claims that must be exclusive, such as the claim of
	// a redelivery, are recorded at once. Zero means DefaultGrace.
	Grace time.Duration
	// Drain is how long running attempts may continue when the executor shuts down.
	// Zero means DefaultDrain. NoDrain hands them back at once.
	Drain time.Duration
	// CrashCap is how many times an execution may lose its executor in the middle
	// of an attempt and still be tried again. Zero means DefaultCrashCap.
	CrashCap int
	// Codec encodes and decodes inputs and outputs. If it lacks the key of an input, the
	// executor leaves the execution to other executors. Nil means the codec of the zero
	// codec.Config.
	Codec *codec.Codec
	// NoAPI turns off the API for other clients, which the executor otherwise serves if
	// the store has one: see [engine.Service].
	NoAPI bool
	// Logger gets WARN for each failed attempt that is tried again, ERROR for each failed
	// execution, and INFO for cancellations and for the start and the end of the executor.
	// Each line has the executor's name. Nil means slog.Default(). A program that logs with
	// zap passes slog.New(zapslog.NewHandler(logger.Core())) of go.uber.org/zap/exp/zapslog.
	Logger *slog.Logger
}

// NoDrain, as [Config].Drain, hands running attempts back at once when the executor shuts down.
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

// An Executor runs attempts of the tasks that are bound to it. Any number of executors share the
// work of a store.
type Executor struct {
	config   Config
	log      *slog.Logger
	store    engine.Store
	client   *engine.Client
	bindings map[string]engine.Binding

	pool     *pool
	hands    hands
	attempts registry
	heard    *heard
	trouble  trouble
	keys     keys
	strays   strays
	parents  parents
	fleet    fleet
	types    types
	seldom   seldom
	gaps     gaps

	started  atomic.Bool
	health   health
	gone     chan struct{}      // closed when the store is closed: see lose
	leaving  atomic.Bool        // the shutdown is about to begin
	stopping chan struct{}      // closed when the shutdown begins
	kill     context.Context    // ends when the executor must leave all unfinished work
	end      context.CancelFunc // ends kill
}

// New returns an executor of the tasks bound by bs. It returns an error, which names both places
// in the source, if a task is bound twice, or defined twice with different types, also as a
// finalize or a step of another task, or if a task is its own finalize or step. It also returns
// an error if code is bound to a task that sleeps, because the code would never run, and if the
// store, a definition or code is nil.
func New(store engine.Store, c Config, bs ...engine.Binding) (*Executor, error) {
	if store == nil {
		return nil, errors.New("new executor: the store is nil")
	}
	c, err := c.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("new executor: %w", err)
	}
	x := &Executor{
		config: c, store: store, client: engine.NewClient(store, engine.WithCodec(c.Codec)), bindings: map[string]engine.Binding{}, pool: newPool(),
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

// Client returns a client of the executor's store. It refuses to enqueue once the executor shuts
// down.
func (x *Executor) Client() *engine.Client { return x.client }

// Name returns the executor's name.
func (x *Executor) Name() string { return x.config.Name }

// Run executes until ctx ends, and then shuts down: it claims nothing more, gives running
// attempts the drain time to finish, hands back the others, and returns when all effects of
// the recorded outcomes are durable.
//
// Run returns an error if it can't start or was called before. If the store fails later, Run
// tries again for as long as that takes. If the store is closed, or its connection is closed for
// good, Run returns at once: the contexts of running attempts end with the error, which wraps
// [engine.ErrClosed], and other executors take over the attempts after the lease. The caller
// must then open the store again, most simply by restarting the program.
func (x *Executor) Run(ctx context.Context) error {
	err := errors.New("Run was called before")
	if x.started.CompareAndSwap(false, true) {
		err = x.run(ctx)
		x.health.stopped(err)
	}
	if err != nil && ctx.Err() != nil && (errors.Is(err, ctx.Err()) || errors.Is(err, context.Cause(ctx))) {
		return nil // ctx ended before the start was complete
	}
	if err != nil {
		return fmt.Errorf("run executor %s: %w", x.config.Name, err)
	}
	return nil
}

func (x *Executor) run(ctx context.Context) error {
	defer x.fleet.asks.Wait() // after x.end, which ends the roll calls
	defer x.end()
	defer x.pool.close()
	defer x.client.Close()
	leave, err := x.attend(ctx)
	if err != nil {
		return err
	}
	defer leave()
	// Watch before claiming anything: otherwise a cancellation in between would be missed.
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
	for _, q := range slots.queues {
		loops.Go(func() { x.takeExecutions(q, slots) })
	}
	loops.Go(x.lookForGaps) // its first roll call also tells foreign which executors are present
	x.log.Info("executor runs", "queues", names, "slots", x.config.Slots)

	x.health.runs(feeds)
	select {
	case <-ctx.Done():
	case <-x.gone:
	}
	go stopServing() // from now on, the other executors answer
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

// lose leaves all unfinished work, because the store is closed and nothing can be recorded.
func (x *Executor) lose(reason error) {
	if !x.health.lose(reason) {
		return
	}
	close(x.gone)
	x.end()
	attempts := x.attempts.all()
	x.log.Error("store is closed: running attempts are left to other executors", "running", len(attempts), "error", reason)
	for _, a := range attempts {
		go a.abandon(reason)
	}
}

// now returns the current time in the precision of records.
func now() time.Time { return time.Now().UTC().Truncate(time.Millisecond) }
