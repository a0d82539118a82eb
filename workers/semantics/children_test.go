package semantics_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/workers"
)

// A kid is the input of a child. It says how the child has to end.
type kid struct {
	After time.Duration
	Fails bool
}

var kids = engine.Define[kid, string]("kid", engine.NoTimeout)

// grow is the code of kids. It returns when its context ends.
func grow(ctx context.Context, k kid) (string, error) {
	select {
	case <-time.After(k.After):
	case <-ctx.Done():
		return "", context.Cause(ctx)
	}
	if k.Fails {
		return "", fmt.Errorf("failed after %s", k.After)
	}
	return fmt.Sprint("grown after ", k.After), nil
}

// spawns returns the run function of a parent of these kids.
func spawns(list ...kid) func(context.Context, string, *engine.Children) (string, error) {
	return func(_ context.Context, in string, c *engine.Children) (string, error) {
		for _, k := range list {
			kids.Spawn(c, k)
		}
		return "mid of " + in, nil
	}
}

func TestChildrenRunInParallelOnAnyExecutor(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		parent := engine.Define[string, string]("parent")
		bound := []engine.Binding{engine.Bind(kids, grow), engine.BindParent(parent, spawns(slices.Repeat([]kid{{After: time.Minute}}, 6)...), joins)}
		for n := range 3 {
			w.executor(workers.Config{Name: fmt.Sprint("executor-", n), Slots: 2}, bound...)
		}
		h := enqueue(w, parent, "in")
		begin := now()
		result(w, h)
		on := map[string]int{}
		for n := range 6 {
			x := w.want(fmt.Sprintf("%s.%d", h.ID(), n), engine.Completed)
			equal(t, "start of a child", x.StartedAt, begin)
			on[x.Executor]++
		}
		equal(t, "executors that ran children", len(on), 3)
	})
}

func TestFailFastFinishesTheParentAtTheFirstFailureAndCancelsTheOthers(t *testing.T) {
	for name, bind := range map[string]func(run func(context.Context, string, *engine.Children) (string, error)) (engine.Binding, func(*world) string){
		"with finalize": func(run func(context.Context, string, *engine.Children) (string, error)) (engine.Binding, func(*world) string) {
			parent := engine.Define[string, string]("parent")
			return engine.BindParent(parent, run, joins), func(w *world) string { return enqueue(w, parent, "in").ID() }
		},
		"without finalize": func(run func(context.Context, string, *engine.Children) (string, error)) (engine.Binding, func(*world) string) {
			parent := engine.Define[string, engine.Gathered[string]]("parent")
			return engine.BindFanOut(parent, run), func(w *world) string { return enqueue(w, parent, "in").ID() }
		},
	} {
		t.Run(name, func(t *testing.T) {
			run(t, func(t *testing.T, w *world) {
				binding, begin := bind(spawns(kid{After: time.Second}, kid{After: time.Minute, Fails: true}, kid{After: time.Hour}, kid{After: 2 * time.Minute, Fails: true}))
				w.executor(workers.Config{}, engine.Bind(kids, grow), binding)
				began := now()
				id := begin(w)
				x := w.ends(id, engine.ChildrenFailed)
				equal(t, "finishedAt", x.FinishedAt, began.Add(time.Minute))
				equal(t, "kind", x.Failure.Kind, engine.KindChildren)
				contains(t, "failure", x.Failure.Message, "1 child of 4", "child 1", "kid", "failed after 1m0s")
				pass(time.Second)
				w.want(id+".0", engine.Completed)
				w.want(id+".1", engine.Failed)
				for _, n := range []string{".2", ".3"} {
					y := w.want(id+n, engine.Cancelled)
					contains(t, "reason", y.Failure.Message, "parent "+id, "children_tasks_failed")
					between(t, "end", y.FinishedAt, x.FinishedAt, x.FinishedAt.Add(50*time.Millisecond))
				}
				equal(t, "executions: no finalize", w.count(), 5)
			})
		})
	}
}

func TestChildrenTasksErrorsAreFixedAtTheFirstFailure(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		parent := engine.Define[string, engine.Gathered[string]]("parent")
		w.executor(workers.Config{}, engine.Bind(kids, func(_ context.Context, k kid) (string, error) {
			time.Sleep(k.After) // whatever its context says
			return "", fmt.Errorf("failed after %s", k.After)
		}), engine.BindFanOut(parent, spawns(kid{After: time.Hour}, kid{After: time.Minute}, kid{After: time.Minute + time.Millisecond})))
		h := enqueue(w, parent, "in")
		check := func() {
			t.Helper()
			x := w.want(h.ID(), engine.ChildrenFailed)
			want := []engine.ChildFailure{{Index: 1, ID: h.ID() + ".1", Task: "kid", Status: engine.Failed, Message: "failed after 1m0s"}}
			if !slices.Equal(x.ChildFailures, want) {
				t.Errorf("children's errors = %+v, want %+v", x.ChildFailures, want)
			}
		}
		w.ends(h.ID(), engine.ChildrenFailed)
		check()
		pass(2 * time.Hour)
		check()
		_, err := h.Wait(w.ctx)
		failed := (*engine.ExecutionError)(nil)
		if !errors.As(err, &failed) || len(failed.Children) != 1 || failed.Children[0].Index != 1 {
			t.Errorf("wait: %v, want the failed child in it", err)
		}
	})
}

func TestWaitAllWaitsAndTheFinalizeSeesHowEachChildEnded(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		parent := engine.Define[string, []string]("parent", engine.WaitAll)
		w.executor(workers.Config{}, engine.Bind(kids, grow), engine.BindParent(parent,
			func(_ context.Context, in string, c *engine.Children) (string, error) {
				kids.Spawn(c, kid{After: time.Second, Fails: true})
				kids.Spawn(c, kid{After: time.Hour})
				kids.Spawn(c, kid{After: time.Hour}, engine.Timeout(time.Minute))
				kids.Spawn(c, kid{After: 3 * time.Hour})
				return in, nil
			}, func(_ context.Context, j engine.Joined[string, string]) (said []string, _ error) {
				for _, r := range kids.Results(j.Children) {
					out, err := r.Get()
					failed := (*engine.ChildError)(nil)
					if errors.As(err, &failed) {
						out = failed.Message
					}
					said = append(said, fmt.Sprintf("%d %s: %s", r.Child.Index, r.Child.Status, out))
				}
				return said, nil
			}))
		began := now()
		h := enqueue(w, parent, "in")
		pass(2 * time.Hour)
		w.want(h.ID(), engine.WaitingForChildren)
		check(t, w.client.Cancel(t.Context(), h.ID()+".3", "enough"))
		got := strings.Join(result(w, h), "\n")
		equal(t, "what the finalize saw", got, strings.Join([]string{
			"0 failed: failed after 1s",
			"1 completed: grown after 1h0m0s",
			"2 timed_out: execution timed out after 1m0s",
			"3 cancelled: enough",
		}, "\n"))
		equal(t, "finishedAt", w.get(h.ID()).FinishedAt, began.Add(2*time.Hour))
		equal(t, "children's errors", len(w.get(h.ID()).ChildFailures), 0)
	})
}

func TestWaitAllWithoutFinalizeCompletesWithHowEachChildEnded(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		parent := engine.Define[string, engine.Gathered[string]]("parent", engine.WaitAll)
		w.executor(workers.Config{}, engine.Bind(kids, grow),
			engine.BindFanOut(parent, spawns(kid{After: time.Second, Fails: true}, kid{After: time.Minute})))
		out := result(w, enqueue(w, parent, "in"))
		equal(t, "own output", out.Output, "mid of in")
		equal(t, "children", len(out.Children), 2)
		equal(t, "first child", out.Children[0].Status, engine.Failed)
		equal(t, "its error", out.Children[0].Message, "failed after 1s")
		equal(t, "second child", out.Children[1].Status, engine.Completed)
		grown, err := out.Children[1].Any()
		check(t, err)
		equal(t, "its output", grown, any("grown after 1m0s"))
	})
}

func TestWaitAllWithOnlyFailuresStillCompletes(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		parent := engine.Define[string, string]("parent", engine.WaitAll)
		w.executor(workers.Config{}, engine.Bind(kids, grow),
			engine.BindParent(parent, spawns(kid{Fails: true}, kid{Fails: true}), joins))
		equal(t, "output", result(w, enqueue(w, parent, "in")), "in, mid of in")
	})
}

func TestPolicyMayBeGivenWhereTheParentIsEnqueued(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		parent := engine.Define[string, string]("parent")
		w.executor(workers.Config{}, engine.Bind(kids, grow), engine.BindParent(parent, spawns(kid{Fails: true}), joins))
		w.ends(enqueue(w, parent, "in", engine.WaitAll).ID(), engine.Completed)
		w.ends(enqueue(w, parent, "in", engine.FailFast).ID(), engine.ChildrenFailed)
		w.ends(enqueue(w, parent, "in").ID(), engine.ChildrenFailed)
	})
}

func TestCancelledChildCountsAsFailedAndItsSiblingsAreCancelled(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		parent := engine.Define[string, engine.Gathered[string]]("parent")
		w.executor(workers.Config{}, engine.Bind(kids, grow), engine.BindFanOut(parent, spawns(kid{After: time.Hour}, kid{After: time.Hour})))
		h := enqueue(w, parent, "in")
		pass(time.Second)
		check(t, w.client.Cancel(t.Context(), h.ID()+".0", "enough"))
		x := w.ends(h.ID(), engine.ChildrenFailed)
		equal(t, "child's status", x.ChildFailures[0].Status, engine.Cancelled)
		equal(t, "child's error", x.ChildFailures[0].Message, "enough")
		pass(time.Second)
		w.want(h.ID()+".1", engine.Cancelled)
	})
}

func TestFailureDeepInTheTreeFailsAllAbove(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		root := engine.Define[string, string]("root")
		middle := engine.Define[string, engine.Gathered[string]]("middle")
		w.executor(workers.Config{}, engine.Bind(kids, grow),
			engine.BindFanOut(middle, spawns(kid{After: time.Minute, Fails: true}, kid{After: time.Hour})),
			engine.BindParent(root, func(_ context.Context, in string, c *engine.Children) (string, error) {
				middle.Spawn(c, in)
				kids.Spawn(c, kid{After: time.Hour})
				return in, nil
			}, joins))
		h := enqueue(w, root, "in", engine.ID("r"))
		w.ends(h.ID(), engine.ChildrenFailed)
		pass(time.Second)
		for id, status := range map[string]engine.Status{
			"r.0": engine.ChildrenFailed, "r.0-0": engine.Failed, "r.0-1": engine.Cancelled, "r.1": engine.Cancelled,
		} {
			equal(t, id+" closed", w.want(id, status).Closed, true)
		}
		equal(t, "root closed", w.get("r").Closed, true)
		equal(t, "executions", w.count(), 5)
	})
}

func TestParentThatFailsAfterSpawnCreatesNoChildren(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		parent := engine.Define[string, engine.Gathered[string]]("parent", engine.Retry{MaxRetries: 1})
		w.executor(workers.Config{}, engine.Bind(kids, grow),
			engine.BindFanOut(parent, func(ctx context.Context, in string, c *engine.Children) (string, error) {
				kids.Spawn(c, kid{})
				if engine.FromContext(ctx).Attempt == 0 {
					kids.Spawn(c, kid{})
					return "", errLuck
				}
				return in, nil
			}))
		equal(t, "children of the second attempt", len(result(w, enqueue(w, parent, "in")).Children), 1)
		equal(t, "executions", w.count(), 2)
	})
}

func TestTaskMaySpawnItself(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		count := engine.Define[int, int]("recursive")
		w.executor(workers.Config{}, engine.BindParent(count, func(_ context.Context, index int, c *engine.Children) (string, error) {
			if index < 30 { // far deeper than the longest path that an id can hold
				count.Spawn(c, index+1)
			}
			return "", nil
		}, func(_ context.Context, j engine.Joined[int, string]) (int, error) {
			sum := 1
			for _, r := range count.Results(j.Children) {
				n, err := r.Get()
				if err != nil {
					return 0, err
				}
				sum += n
			}
			return sum, nil
		}))
		h := enqueue(w, count, 0)
		equal(t, "count", result(w, h), 31)
		equal(t, "executions", w.count(), 62)
		for x, err := range w.client.List(t.Context(), engine.Filter{Tree: h.ID()}) {
			check(t, err)
			if len(x.ID) > len(h.ID())+1+48 {
				t.Errorf("id %s is %d long, want it bounded at any depth", x.ID, len(x.ID))
			}
		}
	})
}

func TestTheDocumentsRecursivePollingWorks(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		type poll struct {
			Done  bool `json:"isDone"`
			Value int  `json:"value"`
		}
		type found struct {
			Count int `json:"count"`
			Value int `json:"value"`
		}
		polling := engine.Define[int, found]("polling", engine.Delay(100*time.Millisecond))
		began := time.Now()
		w.executor(workers.Config{}, engine.BindParent(polling, func(_ context.Context, prev int, c *engine.Children) (poll, error) {
			if time.Since(began) > 2*time.Second {
				return poll{true, 10}, nil
			}
			polling.Spawn(c, prev+1)
			return poll{}, nil
		}, func(_ context.Context, j engine.Joined[int, poll]) (found, error) {
			if j.Output.Done {
				return found{j.Input + 1, j.Output.Value}, nil
			}
			return polling.Result(j.Children).Get()
		}))
		out := result(w, enqueue(w, polling, 0))
		equal(t, "value", out.Value, 10)
		if out.Count < 10 || out.Count > 21 {
			t.Errorf("count = %d, want 10 to 21", out.Count)
		}
	})
}

func TestQueuesSeparateTheWork(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		slow := engine.Define[kid, string]("kid", engine.Queue("slow"))
		parent := engine.Define[string, string]("parent")
		bound := []engine.Binding{engine.Bind(slow, grow), engine.BindParent(parent, func(_ context.Context, in string, c *engine.Children) (string, error) {
			slow.Spawn(c, kid{After: time.Second})
			slow.Spawn(c, kid{After: time.Second}, engine.Queue("other"))
			return in, nil
		}, joins)}
		w.executor(workers.Config{Name: "a"}, bound...)
		w.executor(workers.Config{Name: "b", Queues: map[string]int{"slow": 1, "other": 1}}, bound...)
		h := enqueue(w, parent, "in")
		result(w, h)
		for below, executor := range map[string]string{"": "a", ".0": "b", ".1": "b", ".f": "a"} {
			equal(t, "executor of "+below, w.get(h.ID()+below).Executor, executor)
		}
	})
}

func TestFinalizeWaitsForAStoreThatCantTellItTheChildren(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		parent := engine.Define[string, string]("parent")
		x := w.tapped(workers.Config{}, engine.Bind(kids, grow), engine.BindParent(parent, spawns(kid{}), joins))
		x.tap.on(func(call, _ string) error {
			if call == "GetMany" {
				return errors.New("cut")
			}
			return nil
		})
		h := enqueue(w, parent, "in")
		pass(time.Hour)
		w.want(h.ID(), engine.WaitingForFinalize)
		x.tap.on(nil)
		equal(t, "output", result(w, h), "in, mid of in")
		equal(t, "attempts", len(w.get(h.ID()+".f").History), 1)
	})
}
