package semantics_test

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/engine/memstore"
	"github.com/durable-execution/durable/workers"
)

// panics returns the text that fn panics with; empty if it does not panic.
func panics(fn func()) (said string) {
	defer func() {
		if v := recover(); v != nil {
			said = fmt.Sprint(v)
		}
	}()
	fn()
	return ""
}

// contains fails unless text has every part.
func contains(t *testing.T, what, text string, parts ...string) {
	t.Helper()
	for _, p := range parts {
		if !strings.Contains(text, p) {
			t.Errorf("%s = %q, want %q in it", what, text, p)
		}
	}
}

// here matches a line of this package's tests.
var here = regexp.MustCompile(`_test\.go:\d+`)

func TestTaskIDIs1To255OfItsAlphabet(t *testing.T) {
	for _, id := range []string{"a", "Z9_-", strings.Repeat("x", 255)} {
		if said := panics(func() { engine.Define[int, int](id) }); said != "" {
			t.Errorf("define %q: %s, want it taken", id, said)
		}
	}
	for _, id := range []string{"", strings.Repeat("x", 256), "a.b", "a b", "a/b", "ä", "a*", ">"} {
		said := panics(func() { engine.Define[int, int](id) })
		if said == "" {
			t.Errorf("define %q was accepted, want an error", id)
		}
		if !here.MatchString(said) {
			t.Errorf("define %q: %q, want the place in it", id, said)
		}
	}
}

func TestTaskBoundTwiceIsRefusedWithBothPlaces(t *testing.T) {
	task := engine.Define[int, int]("twice")
	one := engine.Bind(task, returns[int](1))
	two := engine.Bind(task, returns[int](2))
	refusesBoth(t, one, two)
}

func TestFinalizeIDsShareTheNamespaceOfTaskIDs(t *testing.T) {
	parent := engine.Define[string, string]("both")
	other := engine.Define[string, string]("both-finalize")
	one := engine.BindParent(parent, noChildren, joins)
	two := engine.Bind(other, returns[string](""))
	refusesBoth(t, one, two)
	refusesBoth(t, two, one)
}

func refusesBoth(t *testing.T, bs ...engine.Binding) {
	t.Helper()
	_, err := workers.New(memstore.New(memstore.Config{}), workers.Config{}, bs...)
	if err == nil {
		t.Fatal("bound twice, want it refused")
	}
	contains(t, "error", err.Error(), "bound twice", bs[0].Place, bs[1].Place)
	if places := here.FindAllString(err.Error(), -1); len(places) < 2 || places[0] == places[1] {
		t.Errorf("error = %q, want two places in it", err)
	}
}

func TestTaskDefinedTwiceWithOtherTypesIsRefusedWithBothPlaces(t *testing.T) {
	one := engine.Define[string, string]("twin")
	two := engine.Define[int, string]("twin")
	three := engine.Define[string, int]("twin")
	same := engine.Define[string, string]("twin")
	wants := func(t *testing.T, err error, from, to string) {
		t.Helper()
		if err == nil {
			t.Fatal("defined twice, want it refused")
		}
		contains(t, "error", err.Error(), `task "twin" is defined twice`, from, to)
		if places := here.FindAllString(err.Error(), -1); len(places) != 2 || places[0] == places[1] {
			t.Errorf("error = %q, want two places in it", err)
		}
	}
	run(t, func(t *testing.T, w *world) {
		// In the client that enqueues it.
		enqueue(w, one, "in", engine.Delay(time.Hour))
		enqueue(w, same, "in", engine.Delay(time.Hour))
		_, err := two.Enqueue(t.Context(), w.client, 1)
		wants(t, err, "from string to string", "from int to string")
		_, err = three.EnqueueMany(t.Context(), w.client, []string{"in"})
		wants(t, err, "from string to string", "from string to int")
		equal(t, "executions", w.count(), 2)

		// In the executor that runs it.
		var spawned error
		parent := engine.Define[string, engine.Gathered[int]]("parent")
		x := w.executor(workers.Config{}, engine.Bind(one, returns[string]("")),
			engine.BindFanOut(parent, func(ctx context.Context, _ string, c *engine.Children) (int, error) {
				_, spawned = two.Enqueue(ctx, engine.FromContext(ctx).Client, 1)
				two.Spawn(c, 1)
				return 0, nil
			}))
		_, err = two.Enqueue(t.Context(), x.Client(), 1)
		wants(t, err, "from string to string", "from int to string")
		p := w.ends(enqueue(w, parent, "in").ID(), engine.Failed)
		wants(t, spawned, "from string to string", "from int to string")
		wants(t, p.Failure, "from string to string", "from int to string")
	})
}

func TestRootIDsSortByTime(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		task := engine.Define[int, int]("task")
		var ids []string
		for range 20 {
			ids = append(ids, enqueue(w, task, 1, engine.Delay(time.Hour)).ID())
			time.Sleep(time.Millisecond)
		}
		if !slices.IsSorted(ids) {
			t.Errorf("ids = %q, want them sorted by the time of enqueuing", ids)
		}
		for _, id := range ids {
			if !strings.HasPrefix(id, "te_") || engine.ValidateID(id) != nil {
				t.Errorf("id = %q, want te_ and a unique part", id)
			}
		}
	})
}

func TestSameIDAgainIsTheSameExecutionAndRunsOnce(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		var runs journal
		task := engine.Define[string, string]("task")
		bound := engine.Bind(task, func(ctx context.Context, in string) (string, error) {
			runs.add("run")
			return sleeps[string](time.Minute, "out of "+in)(ctx, in)
		})
		again := func(where string) {
			t.Helper()
			h := enqueue(w, task, "in", engine.ID("order-1"))
			equal(t, "id when "+where, h.ID(), "order-1")
			equal(t, "executions when "+where, w.count(), 1)
		}
		again("new")
		again("ready")
		w.executor(workers.Config{}, bound)
		pass(time.Second)
		w.want("order-1", engine.Running)
		again("running")
		pass(time.Minute)
		w.want("order-1", engine.Completed)
		again("completed")
		pass(time.Hour)
		equal(t, "output", result(w, enqueue(w, task, "in", engine.ID("order-1"))), "out of in")
		runs.wants(t, "run")
	})
}

func TestSameIDAtOnceFromManyIsOneExecution(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		var runs journal
		task := engine.Define[string, string]("task")
		for range 2 {
			w.executor(workers.Config{}, engine.Bind(task, func(_ context.Context, in string) (string, error) {
				runs.add("run")
				return in, nil
			}))
		}
		var all sync.WaitGroup
		for range 20 {
			all.Go(func() {
				h, err := task.Enqueue(t.Context(), engine.NewClient(w.store), "in", engine.ID("order-1"))
				if err == nil {
					_, err = h.Wait(t.Context())
				}
				if err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		pass(time.Hour)
		runs.wants(t, "run")
	})
}

func TestSameIDWithAnotherTaskOrInputIsAConflict(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		task := engine.Define[string, string]("task")
		other := engine.Define[string, string]("other")
		conflicts := func(when string) {
			t.Helper()
			_, err := task.Enqueue(t.Context(), w.client, "another", engine.ID("order-1"))
			if !errors.Is(err, engine.ErrIDConflict) {
				t.Errorf("another input when %s: %v, want ErrIDConflict", when, err)
			}
			_, err = other.Enqueue(t.Context(), w.client, "in", engine.ID("order-1"))
			if !errors.Is(err, engine.ErrIDConflict) {
				t.Errorf("another task when %s: %v, want ErrIDConflict", when, err)
			}
		}
		enqueue(w, task, "in", engine.ID("order-1"), engine.Delay(time.Hour))
		conflicts("delayed")
		w.executor(workers.Config{}, engine.Bind(task, sleeps[string](time.Minute, "out")), engine.Bind(other, returns[string]("")))
		conflicts("ready")
		pass(time.Hour + time.Second)
		w.want("order-1", engine.Running)
		conflicts("running")
		w.ends("order-1", engine.Completed)
		conflicts("completed")
		pass(time.Minute)
		equal(t, "executions", w.count(), 1)
		equal(t, "task", w.get("order-1").Task, "task")
		equal(t, "output", result(w, task.Handle(w.client, "order-1")), "out")
	})
}

func TestExecutionIDIs1To128OfItsAlphabet(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		task := engine.Define[string, string]("task")
		w.executor(workers.Config{}, engine.Bind(task, returns[string]("out")))
		for _, id := range []string{"a", "Z9_-", strings.Repeat("x", 128)} {
			equal(t, "output of "+id, result(w, enqueue(w, task, "in", engine.ID(id))), "out")
		}
		for _, id := range []string{"", strings.Repeat("x", 129), "a.b", "a b", "a/b", "ä", "*", ">"} {
			_, err := task.Enqueue(t.Context(), w.client, "in", engine.ID(id))
			if !errors.Is(err, engine.ErrInvalidOption) {
				t.Errorf("id %q: %v, want ErrInvalidOption", id, err)
			}
		}
		equal(t, "executions", w.count(), 3)
	})
}

func TestAnIDIsGivenWhereOneExecutionIsEnqueuedAndNowhereElse(t *testing.T) {
	if panics(func() { engine.Define[int, int]("task", engine.ID("one")) }) == "" {
		t.Error("define took an id")
	}
	run(t, func(t *testing.T, w *world) {
		task := engine.Define[int, int]("task")
		_, err := task.EnqueueMany(t.Context(), w.client, []int{1, 2}, engine.ID("one"))
		if !errors.Is(err, engine.ErrInvalidOption) {
			t.Errorf("enqueue many: %v, want ErrInvalidOption", err)
		}
		equal(t, "executions", w.count(), 0)
		parent := engine.Define[string, engine.Gathered[int]]("parent")
		w.executor(workers.Config{}, engine.BindFanOut(parent, func(_ context.Context, _ string, c *engine.Children) (int, error) {
			task.Spawn(c, 1, engine.ID("one"))
			return 0, nil
		}))
		x := w.ends(enqueue(w, parent, "in").ID(), engine.Failed)
		contains(t, "failure", x.Failure.Message, "invalid option", "one")
	})
}

// A family is a tree of three generations, with finalizes.
type family struct {
	root   engine.Task[string, string]
	middle engine.Task[int, string]
	leaf   engine.Task[int, string]
	places journal
}

func newFamily() *family {
	return &family{
		root:   engine.Define[string, string]("root"),
		middle: engine.Define[int, string]("middle"),
		leaf:   engine.Define[int, string]("leaf"),
	}
}

// note notes what an attempt knows about its position in the tree.
func (f *family) note(ctx context.Context) {
	r := engine.FromContext(ctx)
	f.places.add("%s %s of %s in %s", r.TaskID, r.ExecutionID, r.ParentID, r.RootID)
}

func (f *family) bindings() []engine.Binding {
	return []engine.Binding{
		engine.BindParent(f.root, func(ctx context.Context, in string, c *engine.Children) (string, error) {
			f.note(ctx)
			f.middle.Spawn(c, 0)
			f.middle.Spawn(c, 1)
			return in, nil
		}, func(ctx context.Context, j engine.Joined[string, string]) (string, error) {
			f.note(ctx)
			return "joined", nil
		}),
		engine.BindParent(f.middle, func(ctx context.Context, in int, c *engine.Children) (int, error) {
			f.note(ctx)
			for i := range 2 {
				f.leaf.Spawn(c, i)
			}
			return in, nil
		}, func(ctx context.Context, j engine.Joined[int, int]) (string, error) {
			f.note(ctx)
			return "joined", nil
		}),
		engine.Bind(f.leaf, func(ctx context.Context, in int) (string, error) {
			f.note(ctx)
			return "leaf", nil
		}),
	}
}

func TestIDsOfATreeBeginWithTheRootsAndComeFromThePosition(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		f := newFamily()
		w.executor(workers.Config{}, f.bindings()...)
		for range 2 { // the same positions give the same ids
			h := enqueue(w, f.root, "in")
			result(w, h)
			var got []string
			for x, err := range w.client.List(t.Context(), engine.Filter{Tree: h.ID()}) {
				check(t, err)
				got = append(got, strings.TrimPrefix(x.ID, h.ID()))
			}
			slices.Sort(got)
			want := []string{"", ".0", ".0-0", ".0-1", ".0-f", ".1", ".1-0", ".1-1", ".1-f", ".f"}
			if !slices.Equal(got, want) {
				t.Errorf("ids below the root = %q, want %q", got, want)
			}
		}
	})
}

func TestEveryExecutionKnowsItsPlaceInTheTree(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		f := newFamily()
		w.executor(workers.Config{}, f.bindings()...)
		h := enqueue(w, f.root, "in", engine.ID("r"))
		result(w, h)
		for _, want := range []struct {
			id, task, parent string
			index            int
			finalize         bool
		}{
			{"r", "root", "", 0, false},
			{"r.f", "root-finalize", "r", 0, true},
			{"r.1", "middle", "r", 1, false},
			{"r.1-f", "middle-finalize", "r.1", 0, true},
			{"r.1-0", "leaf", "r.1", 0, false},
			{"r.1-1", "leaf", "r.1", 1, false},
		} {
			x := w.want(want.id, engine.Completed)
			equal(t, want.id+": task", x.Task, want.task)
			equal(t, want.id+": root", x.Root(), "r")
			equal(t, want.id+": parent", x.Parent, want.parent)
			equal(t, want.id+": index", x.Index, want.index)
			equal(t, want.id+": is finalize", x.IsFinalize, want.finalize)
			line := fmt.Sprintf("%s %s of %s in r", want.task, want.id, want.parent)
			equal(t, line, f.places.count(line), 1)
		}
	})
}

func TestSpawningAgainAfterACrashNamesTheSameExecutions(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		f := newFamily()
		dead := w.tapped(workers.Config{}, f.bindings()...)
		dead.tap.on(func(call, _ string) error {
			if call == "SpawnChildren" {
				dead.tap.kill()
			}
			return nil
		})
		h := enqueue(w, f.root, "in", engine.ID("r"))
		pass(time.Second)
		w.want("r", engine.WaitingForChildren)
		equal(t, "executions", w.count(), 1)

		w.executor(workers.Config{}, f.bindings()...)
		result(w, h)
		equal(t, "executions", w.count(), 10)
		equal(t, "runs of the parent", f.places.count("root r of  in r"), 1)
	})
}
