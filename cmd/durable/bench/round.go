package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime/pprof"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/durable-execution/durable/engine"
)

// Run measures a workload. It calls progress with a description of each step before the step.
// When ctx ends, it finishes started work and returns a report of the completed rounds. It
// returns an error if no round was completed, or if something went wrong.
func Run(ctx context.Context, c Config, progress func(string)) (*Report, error) {
	c, w, err := c.complete()
	if err != nil {
		return nil, err
	}
	r := newReport(c, w)
	progress(fmt.Sprintf("%s: preparing %s", w.name, c.place()))
	b, err := open(ctx, c, w)
	if err != nil {
		return nil, err
	}
	r.knows(b)
	err = b.rounds(ctx, w, r, progress)
	if ctx.Err() != nil {
		r.Interrupted = true
		if err != nil && len(r.rounds) > 0 {
			err = nil // the interrupted round does not count
		}
	}
	err = errors.Join(err, b.close())
	if err == nil && len(r.rounds) == 0 {
		err = context.Cause(ctx)
	}
	if err != nil {
		return nil, err
	}
	r.conclude(w)
	return r, nil
}

// settling is how long to wait until a new executor is idle.
const settling = time.Second

func (b *bed) rounds(ctx context.Context, w *workload, r *Report, progress func(string)) error {
	if b.Stored > 0 || b.Waiting > 0 {
		progress(fmt.Sprintf("%s: storing the executions that --stored and --waiting ask for", w.name))
		if err := b.prefill(ctx); err != nil {
			return err
		}
	}
	if w.idle {
		if err := pause(ctx, settling); err != nil { // the executor has just started
			return err
		}
	}
	if b.Warmup > 0 && w.duration == 0 {
		progress(fmt.Sprintf("%s: warming up", w.name))
		if err := b.warmUp(ctx, w); err != nil {
			return err
		}
	}
	for i := range b.Rounds {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		progress(fmt.Sprintf("%s: round %d of %d", w.name, i+1, b.Rounds))
		if err := b.round(ctx, w, r, i == b.Rounds-1); err != nil {
			return err
		}
	}
	return nil
}

func (b *bed) warmUp(ctx context.Context, w *workload) error {
	if _, err := w.run(b, newQuota(ctx, b.Warmup, 0), &sample{}); err != nil {
		return err
	}
	if b.floor != nil && w.floor != nil {
		if _, err := w.floor(b.floor, newQuota(ctx, b.Warmup, 0), &sample{}); err != nil {
			return err
		}
	}
	return b.tidy(w)
}

func (b *bed) tidy(w *workload) error {
	if w.tidy == nil {
		return nil
	}
	return w.tidy(b)
}

// round measures the floor and then the engine. If something else disturbs the machine, it is
// likely to disturb both.
func (b *bed) round(ctx context.Context, w *workload, r *Report, last bool) error {
	q := func() *quota { return newQuota(ctx, b.Count, b.For) }
	floor := values{}
	var least *sample
	var err error
	switch {
	case b.NoFloor:
	case w.parts != nil:
		floor, err = b.arithmetic(ctx, w)
	case w.floor != nil:
		if least, err = b.measured(q, false, func(q *quota, s *sample) (int, error) { return w.floor(b.floor, q, s) }); err == nil {
			floor = b.values(least)
			floor["stored"], floor["acks"] = float64(w.stored), float64(w.acks)
		}
	}
	if err != nil {
		return err
	}
	if ctx.Err() != nil { // discard the floor: there will be nothing to compare with it
		return context.Cause(ctx)
	}
	s, err := b.measured(q, last, func(q *quota, s *sample) (int, error) { return w.run(b, q, s) })
	if err == nil {
		err = b.verify(w, s)
	}
	if err != nil || s.n == 0 {
		return err
	}
	r.add(b.worth(w, s), floor, s, least)
	return b.tidy(w)
}

// measured calls do with a quota, and returns what it used.
func (b *bed) measured(allowed func() *quota, profiled bool, do func(*quota, *sample) (int, error)) (*sample, error) {
	s := &sample{}
	before, err := b.snap(true)
	if err != nil {
		return nil, err
	}
	stop, err := b.profile(profiled)
	if err != nil {
		return nil, err
	}
	began := time.Now()
	s.n, err = do(allowed(), s)
	s.took = time.Since(began)
	stop()
	if err = b.cause(err); err != nil {
		return nil, err
	}
	after, err := b.snap(false)
	if err != nil {
		return nil, err
	}
	s.used = after.minus(before)
	for _, u := range append(after.hists, after.here) {
		if u.Late != nil {
			s.hist("lateness").Merge(hdrhistogram.Import(u.Late))
		}
	}
	return s, nil
}

func (b *bed) profile(profiled bool) (stop func(), err error) {
	if !profiled || b.CPUProfile == "" {
		return func() {}, nil
	}
	file, err := os.Create(b.CPUProfile)
	if err != nil {
		return nil, fmt.Errorf("CPU profile: %w", err)
	}
	if err := pprof.StartCPUProfile(file); err != nil {
		return nil, fmt.Errorf("CPU profile: %w", err)
	}
	return func() { pprof.StopCPUProfile(); _ = file.Close() }, nil
}

func (s snapshot) minus(before snapshot) snapshot {
	s.here, s.servers, s.crews = s.here.minus(before.here), s.servers.minus(before.servers), s.crews.minus(before.crews)
	for i := range s.stored {
		s.stored[i] -= before.stored[i]
	}
	s.acks -= before.acks
	s.deliveries -= before.deliveries
	s.sent -= before.sent
	s.received -= before.received
	s.requests -= before.requests
	return s
}

// verify checks that the tasks of the sample have run, and that an execution has completed.
func (b *bed) verify(w *workload, s *sample) error {
	if w.runs == nil {
		return nil
	}
	ran, want := s.used.here.Ran+s.used.crews.Ran, int64(s.n*w.runs(b.Config))
	if ran < want {
		return fmt.Errorf("%d runs of tasks, want %d: some of %d %s did not finish", ran, want, s.n, w.plural())
	}
	id, ok := b.last.Load().(string)
	if !ok {
		return nil
	}
	x, err := b.client.Get(b.work, id)
	if err == nil && x.Status != engine.Completed {
		err = fmt.Errorf("%s is %s, want completed: %w", id, x.Status, x.Err())
	}
	return err
}

// arithmetic measures the cost of one message and of one record, and computes the floor of the
// workload from them.
func (b *bed) arithmetic(ctx context.Context, w *workload) (values, error) {
	messages, records := w.parts(b.Config)
	n := arithmeticCount
	if b.Count > 0 {
		n = min(n, max(b.Count*messages, chunk))
	}
	relay := func(create bool) (*sample, error) {
		q := func() *quota { return newQuota(ctx, n, 0) }
		return b.measured(q, false, func(q *quota, _ *sample) (int, error) { return b.floor.relay(q, create) })
	}
	bare, err := relay(false)
	if err != nil {
		return nil, err
	}
	full, err := relay(true)
	if err != nil {
		return nil, err
	}
	one, two := b.values(bare), b.values(full)
	least := values{"stored": float64(messages + records), "acks": float64(messages)}
	each := func(one, two float64) float64 { return float64(messages)*one + float64(records)*max(two-one, 0) }
	least["throughput"] = 1 / each(1/one["throughput"], 1/two["throughput"])
	for _, name := range []string{"cpu", "cpuClient", "cpuServer"} {
		if one[name] > 0 {
			least[name] = each(one[name], two[name])
		}
	}
	return least, nil
}

// arithmeticCount is how many messages arithmetic measures, unless the round has fewer.
const arithmeticCount = 20_000
