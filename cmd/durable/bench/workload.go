package bench

import (
	"context"
	"fmt"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/durable-execution/durable/engine"
)

// chunk is how many executions one call enqueues in bulk.
const chunk = 1000

// A workload is a kind of work to measure.
type workload struct {
	name, about string
	noun        string // what it counts, such as execution

	count    int           // the default count of a round
	duration time.Duration // the default duration of a round, instead of a count
	callers  int
	rounds   int
	here     bool // its executor must be in this process
	paced    bool // it accepts a rate
	unmanned bool // no executor runs

	// run does the work that the quota allows, and returns how many times it did it. It
	// records durations in the sample.
	run func(*bed, *quota, *sample) (int, error)
	// runs returns how many runs of tasks one execution takes; nil means that verify does not count them.
	runs func(Config) int
	// floor is the same as run, for the floor; nil if there is none.
	floor func(*floor, *quota, *sample) (int, error)
	// stored and acks are how many messages the floor stores and acknowledges per execution.
	stored, acks int
	// parts returns how many messages must at least be published, delivered and acknowledged,
	// and how many records written, per execution. If it is set, [bed.arithmetic] computes the
	// floor from the cost of one of each.
	parts func(Config) (messages, records int)
	// floorIs describes the floor in words.
	floorIs string
	// idle means that only requests, memory and the share of a core are measured.
	idle bool
	// tidy is called after each round; nil if there is nothing to do.
	tidy func(*bed) error
}

// A sample is the result of one round.
type sample struct {
	n     int
	took  time.Duration
	used  snapshot // the resources used during the round
	hists map[string]*hdrhistogram.Histogram
}

// hist returns the histogram with a name, and creates it if it is missing.
func (s *sample) hist(name string) *hdrhistogram.Histogram {
	if s.hists == nil {
		s.hists = map[string]*hdrhistogram.Histogram{}
	}
	if s.hists[name] == nil {
		s.hists[name] = newHist()
	}
	return s.hists[name]
}

// A Workload is the name and the description of a workload.
type Workload struct{ Name, About string }

// Workloads returns all workloads.
func Workloads() []Workload {
	var list []Workload
	for _, w := range workloads {
		list = append(list, Workload{w.name, w.about})
	}
	return list
}

func find(name string) *workload {
	for i := range workloads {
		if workloads[i].name == name {
			return &workloads[i]
		}
	}
	return nil
}

var workloads = []workload{
	{
		name: "throughput", noun: "execution", count: 20_000, callers: 2,
		about:  "short root tasks, enqueued in bulk while an executor runs them",
		run:    throughput,
		runs:   func(Config) int { return 1 },
		floor:  func(f *floor, q *quota, _ *sample) (int, error) { return f.relay(q, true) },
		stored: 2, acks: 1,
		floorIs: "one publish, one delivery, one create under a key, one ack; all pipelined",
	},
	{
		name: "enqueue", noun: "execution", count: 20_000, callers: 64, unmanned: true,
		about: "each caller enqueues one execution at a time; no executor runs",
		run: func(b *bed, q *quota, _ *sample) (int, error) {
			return b.closed(q, func(int) error {
				_, err := short.Enqueue(b.work, b.client, b.payload)
				return err
			})
		},
		floor:   func(f *floor, q *quota, _ *sample) (int, error) { return f.publishEach(q) },
		stored:  1,
		floorIs: "one publish, by the same number of callers; each waits for the ack",
		tidy:    (*bed).empty,
	},
	{
		name: "bulk", noun: "execution", count: 100_000, callers: 4, unmanned: true,
		about:   "enqueueing with EnqueueMany, 1,000 at a time; no executor runs",
		run:     func(b *bed, q *quota, _ *sample) (int, error) { return b.enqueueMany(q) },
		floor:   func(f *floor, q *quota, _ *sample) (int, error) { return f.publishAll(q) },
		stored:  1,
		floorIs: "one publish, 4,000 of them in flight",
		tidy:    (*bed).empty,
	},
	{
		name: "latency", noun: "execution", count: 2000, callers: 1, paced: true,
		about: "from the call that enqueues to the output; --rate for an open loop",
		run: func(b *bed, q *quota, s *sample) (int, error) {
			return b.clocked(q, s.hist("latency"), b.enqueueAndWait)
		},
		runs: func(Config) int { return 1 },
		floor: func(f *floor, q *quota, s *sample) (int, error) {
			return f.latencies(q, s.hist("latency"))
		},
		stored: 3, acks: 1,
		floorIs: "create under a key, publish, delivery, compare-and-set, notify, ack; each waits for the previous one",
	},
	{
		name: "fanout", noun: "parent", count: 500, callers: 1,
		about: "parents with children and a finalize that reads the output of each",
		run: func(b *bed, q *quota, _ *sample) (int, error) {
			return b.bulk(q, chunk, func(n int) error {
				ins := make([]wide, n)
				for i := range ins {
					ins[i] = wide{b.Children, b.payload}
				}
				hs, err := parent.EnqueueMany(b.work, b.client, ins)
				return remember(b, hs, err)
			})
		},
		runs: func(c Config) int { return c.Children + 2 },
		// Messages: a ready message and a closure event for each child, and a ready message
		// each for the parent and for the finalize, which sends no closure event. Records:
		// one for each child and for the finalize, and three for the parent: after it
		// spawned, after all children ended, and at the end.
		parts:   func(c Config) (int, int) { return 2*c.Children + 2, c.Children + 4 },
		floorIs: "the fewest publishes, deliveries, acks and creates that a parent needs, each at the cost of a pipelined one",
	},
	{
		name: "sequence", noun: "sequence", count: 1000, callers: 1,
		about: "steps one after the other, each output the input of the next",
		run: func(b *bed, q *quota, _ *sample) (int, error) {
			return b.bulk(q, chunk, func(n int) error {
				hs, err := sequence.EnqueueMany(b.work, b.client, b.payloads(n))
				return remember(b, hs, err)
			})
		},
		runs: func(c Config) int { return c.Steps },
		// Messages: a ready message for each step, which sends no closure event, and for the
		// sequence. Records: one for each step, and for the sequence one before each step
		// and one at the end.
		parts:   func(c Config) (int, int) { return c.Steps + 1, 2*c.Steps + 1 },
		floorIs: "the fewest publishes, deliveries, acks and creates that a sequence needs, each at the cost of a pipelined one",
	},
	{
		name: "delayed", noun: "execution", count: 5000, callers: 1, paced: true,
		about: "short root tasks with a delay, and how late they begin",
		run:   lateness,
		runs:  func(Config) int { return 1 },
		floor: func(f *floor, q *quota, s *sample) (int, error) {
			return f.scheduled(q, s.hist("lateness"))
		},
		stored: 3, acks: 1,
		floorIs: "one schedule, the message that it fires, its delivery, one create, one ack; pipelined",
	},
	{
		name: "cancel", noun: "execution", count: 1000, callers: 1, here: true,
		about: "tasks that are cancelled while they run",
		run:   cancels,
		runs:  func(Config) int { return 1 },
		floor: func(f *floor, q *quota, s *sample) (int, error) {
			return f.cancels(q, s.hist("return"), s.hist("end"))
		},
		stored: 4, acks: 2,
		floorIs: "publish, delivery, create; then, timed, publish and compare-and-set, one after the other; two acks",
	},
	{
		name: "idle", noun: "second", duration: 10 * time.Second, rounds: 1, idle: true,
		about: "an executor that has nothing to do",
		run: func(b *bed, q *quota, s *sample) (int, error) {
			began := time.Now()
			_ = pause(q.ctx, time.Until(q.end)) // an interruption ends it early
			return max(1, int(time.Since(began).Round(time.Second)/time.Second)), nil
		},
	},
}

// hasFloor reports whether the workload has a floor, measured or computed.
func (w *workload) hasFloor() bool { return w.floor != nil || w.parts != nil }

func (b *bed) payloads(n int) [][]byte {
	list := make([][]byte, n)
	for i := range list {
		list[i] = b.payload
	}
	return list
}

func throughput(b *bed, q *quota, _ *sample) (int, error) {
	return b.bulk(q, chunk, func(n int) error {
		hs, err := short.EnqueueMany(b.work, b.client, b.payloads(n))
		return remember(b, hs, err)
	})
}

// remember keeps the id of the last execution of a call: verify checks it after the round.
func remember[Out any](b *bed, hs []engine.Handle[Out], err error) error {
	if err == nil && len(hs) > 0 {
		b.last.Store(hs[len(hs)-1].ID())
	}
	return err
}

// enqueueMany enqueues as many executions as the quota allows, in bulk, and returns how many.
func (b *bed) enqueueMany(q *quota) (total int, err error) {
	counts := make([]int, b.Callers)
	err = parallel(b.Callers, func(i int) error {
		for n := q.take(chunk); n > 0; n = q.take(chunk) {
			if _, err := short.EnqueueMany(b.work, b.client, b.payloads(n)); err != nil {
				return b.cause(err)
			}
			counts[i] += n
		}
		return nil
	})
	for _, n := range counts {
		total += n
	}
	return total, err
}

func (b *bed) enqueueAndWait() error {
	h, err := short.Enqueue(b.work, b.client, b.payload)
	if err != nil {
		return err
	}
	n, err := h.Wait(b.work)
	if err == nil && n != len(b.payload) {
		err = fmt.Errorf("output of %s is %d, want %d", h.ID(), n, len(b.payload))
	}
	return err
}

// lateChunk is how many delayed executions one call enqueues: few, because all executions of a
// call are due at the same time.
const lateChunk = 50

func lateness(b *bed, q *quota, _ *sample) (int, error) {
	waiting, err := b.state(inTimers)
	if err != nil {
		return 0, err
	}
	pace := b.pace()
	n, err := b.bulk(q, lateChunk, func(n int) error {
		if err := pace.wait(b.work, n); err != nil {
			return err
		}
		due := time.Now().Add(b.Delay).UnixNano()
		ins := make([]dated, n)
		for i := range ins {
			ins[i] = dated{due, b.payload}
		}
		hs, err := delayed.EnqueueMany(b.work, b.client, ins, engine.Delay(b.Delay))
		return remember(b, hs, err)
	})
	if err != nil {
		return n, err
	}
	return n, b.await(func() (bool, error) {
		s, err := b.state(inTimers)
		return s.Msgs <= waiting.Msgs, err
	})
}

func cancels(b *bed, q *quota, s *sample) (int, error) {
	var times clock
	returned, ended := s.hist("return"), s.hist("end")
	n, err := b.closed(q, func(int) error {
		number := b.number.Add(1)
		e := &encounter{began: make(chan struct{}), ended: make(chan time.Time, 1)}
		b.ledger.long.Store(number, e)
		defer b.ledger.long.Delete(number)
		h, err := long.Enqueue(b.work, b.client, numbered{number, b.payload})
		if err != nil {
			return err
		}
		select {
		case <-e.began:
		case <-b.work.Done():
			return context.Cause(b.work)
		}
		began := time.Now()
		if err := h.Cancel(b.work, "measured"); err != nil {
			return err
		}
		done := time.Now()
		select {
		case at := <-e.ended:
			return times.record(returned, done.Sub(began), ended, at.Sub(began))
		case <-b.work.Done():
			return context.Cause(b.work)
		}
	})
	if err == nil {
		err = b.drained()
	}
	return n, err
}

// empty removes the messages in the queue and in the queue of the floor: no executor will run
// them.
func (b *bed) empty() error {
	s, err := b.js.Stream(b.work, b.streams()[inReady])
	if err == nil {
		err = s.Purge(b.work)
	}
	if err == nil && b.floor != nil {
		err = b.floor.purge()
	}
	return err
}

// prefill stores as many finished and waiting executions as the Config says.
func (b *bed) prefill(ctx context.Context) error {
	if b.Stored > 0 {
		if _, err := throughput(b, newQuota(ctx, b.Stored, 0), nil); err != nil {
			return fmt.Errorf("store %d finished executions: %w", b.Stored, err)
		}
	}
	if b.Waiting == 0 {
		return nil
	}
	_, err := b.bulk(newQuota(ctx, b.Waiting, 0), chunk, func(n int) error {
		_, err := delayed.EnqueueMany(b.work, b.client, make([]dated, n), engine.Delay(24*time.Hour))
		return err
	})
	if err != nil {
		return fmt.Errorf("enqueue %d delayed executions: %w", b.Waiting, err)
	}
	return nil
}

func (w *workload) plural() string { return w.noun + "s" }
