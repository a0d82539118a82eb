package semantics_test

import (
	"context"
	"errors"
	"flag"
	"testing"
	"time"

	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/workers"
)

// doneAfter returns the code of a poll that is done at its n-th run.
func doneAfter(n int, runs *journal) func(context.Context, string) (string, bool, error) {
	return func(ctx context.Context, in string) (string, bool, error) {
		runs.add("run")
		return in + " is there", engine.FromContext(ctx).Polls+1 == n, nil
	}
}

func TestPollRunsUntilItIsDone(t *testing.T) {
	for name, every := range map[string]time.Duration{"often": 200 * time.Millisecond, "now and then": time.Minute} {
		t.Run(name, func(t *testing.T) {
			run(t, func(t *testing.T, w *world) {
				var runs journal
				task := engine.DefinePoll[string, string]("poll", engine.Poll{Every: every})
				w.executor(workers.Config{}, engine.BindPoll(task, doneAfter(5, &runs)))
				begun := time.Now()
				h := enqueue(w, task.Task, "it")
				equal(t, "output", result(w, h), "it is there")
				between(t, "done", time.Now(), begun.Add(4*every), begun.Add(4*(every+late)))
				equal(t, "runs", runs.count("run"), 5)
				x := w.get(h.ID())
				equal(t, "polls", x.Polls, 4)
				equal(t, "history", len(x.History), 1)
				equal(t, "executions", w.count(), 1)
				pass(time.Hour)
				w.quiet()
			})
		})
	}
}

func TestPollWaitsAsItsFunctionSays(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		var runs journal
		task := engine.DefinePoll[string, string]("poll", engine.Poll{Wait: func(n int) time.Duration { return time.Duration(n) * time.Minute }})
		w.executor(workers.Config{}, engine.BindPoll(task, doneAfter(4, &runs)))
		begun := time.Now()
		result(w, enqueue(w, task.Task, "it"))
		between(t, "done", time.Now(), begun.Add(6*time.Minute), begun.Add(6*time.Minute+3*late))
	})
}

func TestPollIsGivenUp(t *testing.T) {
	for name, c := range map[string]struct {
		poll    engine.Poll
		status  engine.Status
		message string
		runs    int
	}{
		"after so many runs": {engine.Poll{Every: time.Second, Limit: 3}, engine.Failed, "not done after 3 polls", 3},
		// It runs at 0, 4 and 8 minutes, and at the deadline.
		"after a time": {engine.Poll{Every: 4 * time.Minute, Deadline: 10 * time.Minute}, engine.TimedOut, "not done within 10m0s, after 4 polls", 4},
	} {
		t.Run(name, func(t *testing.T) {
			run(t, func(t *testing.T, w *world) {
				var runs journal
				task := engine.DefinePoll[string, string]("poll", c.poll, engine.Retry{MaxRetries: 5})
				w.executor(workers.Config{}, engine.BindPoll(task, doneAfter(1000, &runs)))
				x := w.ends(enqueue(w, task.Task, "it").ID(), c.status)
				equal(t, "message", x.Failure.Message, c.message)
				equal(t, "runs", runs.count("run"), c.runs)
			})
		})
	}
}

func TestEachPollHasAllItsRetries(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		var runs journal
		task := engine.DefinePoll[string, string]("poll", engine.Poll{Every: time.Minute}, engine.Retry{MaxRetries: 2})
		w.executor(workers.Config{}, engine.BindPoll(task, func(ctx context.Context, in string) (string, bool, error) {
			at := engine.FromContext(ctx)
			runs.add("poll %d, attempt %d", at.Polls, at.Attempt)
			if at.Attempt < 2 && at.Polls < 2 {
				return "", false, errors.New("no luck")
			}
			return in, at.Polls == 2, nil
		}))
		h := enqueue(w, task.Task, "it")
		result(w, h)
		runs.wants(t,
			"poll 0, attempt 0", "poll 0, attempt 1", "poll 0, attempt 2",
			"poll 1, attempt 0", "poll 1, attempt 1", "poll 1, attempt 2",
			"poll 2, attempt 0")
	})
}

func TestPollGoesOnInAnotherExecutor(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		var runs journal
		task := engine.DefinePoll[string, string]("poll", engine.Poll{Every: time.Minute, Limit: 10})
		first := w.tapped(workers.Config{}, engine.BindPoll(task, doneAfter(6, &runs)))
		h := enqueue(w, task.Task, "it")
		pass(150 * time.Second)
		first.tap.kill()
		first.stop()
		pass(time.Hour) // no executor runs, and the poll must survive
		equal(t, "runs", runs.count("run"), 3)
		w.executor(workers.Config{}, engine.BindPoll(task, doneAfter(6, &runs)))
		equal(t, "output", result(w, h), "it is there")
		equal(t, "runs", runs.count("run"), 6)
	})
}

func TestPollInATree(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		var runs journal
		poll := engine.DefinePoll[string, string]("poll", engine.Poll{Every: 10 * time.Second, Limit: 3})
		parent := engine.Define[int, engine.Gathered[string]]("parent", engine.WaitAll)
		steps := engine.Define[string, string]("steps")
		echo := engine.Define[string, string]("echo")
		w.executor(workers.Config{},
			engine.BindPoll(poll, doneAfter(3, &runs)),
			engine.BindFanOut(parent, func(_ context.Context, n int, c *engine.Children) (string, error) {
				for range n {
					poll.Spawn(c, "child")
				}
				return "all", nil
			}),
			engine.BindSequence(steps, engine.Then(engine.Then(echo, poll.Task), echo)),
			engine.Bind(echo, func(_ context.Context, in string) (string, error) { return in + ",", nil }))
		out := result(w, enqueue(w, parent, 3))
		equal(t, "children", len(out.Children), 3)
		equal(t, "output of a sequence", result(w, enqueue(w, steps, "it")), "it, is there,")
		w.cancels(enqueue(w, poll.Task, "again").ID(), "enough")
		pass(time.Hour)
		w.quiet()
	})
}

var pollsOfADay = flag.Bool("poll-for-a-day", false, "poll each second for a day instead of for an hour")

// The poll runs each second: for an hour on memstore, for a quarter of an hour on JetStream.
func TestPollingCostsNoGrowth(t *testing.T) {
	for name, c := range map[string]struct {
		in    func(*testing.T, func(*testing.T, *world))
		polls int
	}{"memstore": {onMemstore, 60 * 60}, "jetstream": {onJetStream, 15 * 60}} {
		t.Run(name, func(t *testing.T) {
			if *pollsOfADay {
				c.polls = 24 * 60 * 60
			}
			c.in(t, func(t *testing.T, w *world) {
				var sizes []int
				task := engine.DefinePoll[string, string]("poll", engine.Poll{Every: time.Second})
				w.executor(workers.Config{}, engine.BindPoll(task, func(ctx context.Context, in string) (string, bool, error) {
					at := engine.FromContext(ctx)
					if n := at.Polls; n == 100 || n == c.polls {
						x, err := at.Client.Get(ctx, at.ExecutionID)
						check(t, err)
						data, err := engine.EncodeRecord(x)
						check(t, err)
						sizes = append(sizes, len(data))
						if w.nc != nil {
							equal(t, "messages kept", w.kept(), 3) // the namespace's record, the poll's record, the message by which the poll was claimed
						}
					}
					return in, at.Polls == c.polls, nil
				}))
				ctx, cancel := context.WithTimeout(t.Context(), 100*time.Hour)
				defer cancel()
				h := enqueue(w, task.Task, "it")
				_, err := h.Wait(ctx)
				check(t, err)
				// Large numbers take a few bytes more than small ones.
				if len(sizes) != 2 || sizes[1] > sizes[0]+16 {
					t.Errorf("record of %d bytes at first and at last, want no growth", sizes)
				}
			})
		})
	}
}
