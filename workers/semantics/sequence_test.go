package semantics_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/engine/storetest"
	"github.com/durable-execution/durable/workers"
)

// The tasks of a sequence turn a text into words, the words into their number, and the number
// into a verdict.
var (
	split = engine.Define[string, []string]("split")
	tally = engine.Define[[]string, int]("tally")
	judge = engine.Define[int, string]("judge")
	essay = engine.Define[string, string]("essay")
)

func essayBindings(ran *journal) []engine.Binding {
	return []engine.Binding{
		engine.BindSequence(essay, engine.Then(engine.Then(split, tally), judge)),
		engine.Bind(split, func(_ context.Context, text string) ([]string, error) {
			ran.add("split")
			return strings.Fields(text), nil
		}),
		engine.Bind(tally, func(_ context.Context, words []string) (int, error) {
			ran.add("tally")
			if len(words) > 3 {
				return 0, errors.New("too long")
			}
			return len(words), nil
		}),
		engine.Bind(judge, func(_ context.Context, n int) (string, error) {
			ran.add("judge")
			return fmt.Sprintf("%d words", n), nil
		}),
	}
}

func TestSequenceGivesEachStepTheOutputOfTheOneBefore(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		ran := &journal{}
		w.executor(workers.Config{}, essayBindings(ran)...)
		equal(t, "output", result(w, enqueue(w, essay, "one two three", engine.ID("s"))), "3 words")
		ran.wants(t, "split", "tally", "judge")
		equal(t, "executions: a coordinator and a step each", w.count(), 4)
	})
}

func TestFailingStepFailsTheSequenceAndNoLaterOneIsCreated(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		ran := &journal{}
		w.executor(workers.Config{}, essayBindings(ran)...)
		h := enqueue(w, essay, "one two three four", engine.ID("s"))
		_, err := h.Wait(t.Context())
		failed := (*engine.ExecutionError)(nil)
		if !errors.As(err, &failed) || failed.Status != engine.ChildrenFailed || !strings.Contains(err.Error(), "step 2 of 3 (tally) failed: too long") {
			t.Errorf("error = %v, want %s that names step 2 of 3", err, engine.ChildrenFailed)
		}
		ran.wants(t, "split", "tally")
		equal(t, "executions", w.count(), 3)
	})
}

func TestStepOfASequenceMayBeAParentOrASequence(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		fan := engine.Define[string, engine.Gathered[string]]("fan")
		sum := engine.Define[engine.Gathered[string], string]("sum")
		whole := engine.Define[string, string]("whole")
		ran := &journal{}
		w.executor(workers.Config{}, append(essayBindings(ran),
			engine.BindSequence(whole, engine.Then(engine.Then(essay, fan), sum)),
			engine.BindFanOut(fan, func(_ context.Context, s string, c *engine.Children) (string, error) {
				essay.Spawn(c, s)
				return "fanned", nil
			}),
			engine.Bind(sum, func(_ context.Context, g engine.Gathered[string]) (string, error) {
				s, err := essay.Result(g.Children).Get()
				return g.Output + " " + s, err
			}))...)
		equal(t, "output", result(w, enqueue(w, whole, "one two three")), "fanned 2 words")
	})
}

func TestSequenceOfOneTaskIsLegal(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		alone := engine.Define[int, string]("alone")
		w.executor(workers.Config{}, engine.BindSequence(alone, judge), essayBindings(&journal{})[3])
		equal(t, "output", result(w, enqueue(w, alone, 7)), "7 words")
	})
}

func TestSequenceWithoutStepsIsRefusedWhereItIsBound(t *testing.T) {
	defer func() {
		if r := fmt.Sprint(recover()); !strings.Contains(r, `bind sequence "essay"`) || !strings.Contains(r, "no steps") {
			t.Errorf("panic = %q, want one that names the sequence", r)
		}
	}()
	engine.BindSequence(essay, engine.Chain[string, string]{})
}

func TestInputOfAStepIsValidatedBeforeItRuns(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		strict := engine.Define[int, string]("judge").ValidateInput(func(n int) (int, error) {
			if n < 5 {
				return 0, errors.New("fewer than five")
			}
			return n, nil
		})
		ran := &journal{}
		bs := essayBindings(ran)
		bs[3] = engine.Bind(strict, func(context.Context, int) (string, error) { ran.add("judge"); return "", nil })
		w.executor(workers.Config{}, bs...)
		_, err := enqueue(w, essay, "one two").Wait(t.Context())
		if err == nil || !strings.Contains(err.Error(), "step 3 of 3 (judge) failed") || !strings.Contains(err.Error(), "fewer than five") {
			t.Errorf("error = %v, want that step 3 of 3 failed for fewer than five", err)
		}
		ran.wants(t, "split", "tally")
	})
}

func TestCancelOfASequenceEndsTheStepThatRuns(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		bs := essayBindings(&journal{})
		bs[2] = engine.Bind(tally, func(ctx context.Context, _ []string) (int, error) {
			<-ctx.Done()
			return 0, ctx.Err()
		})
		w.executor(workers.Config{}, bs...)
		h := enqueue(w, essay, "one", engine.ID("s"))
		pass(time.Second)
		check(t, h.Cancel(t.Context(), "enough"))
		pass(time.Second)
		w.want("s", engine.Cancelled)
		w.want("s.0", engine.Completed)
		w.want("s.1", engine.Cancelled)
		equal(t, "executions", w.count(), 3)
	})
}

// A sequence continues where it was, at whichever store call its executor dies.
func TestSequenceSurvivesACrashAtEveryStoreCall(t *testing.T) {
	onMemstore(t, func(t *testing.T, w *world) {
		for _, mode := range []storetest.Mode{storetest.Before, storetest.After} {
			for n := 1; ; n++ {
				id := fmt.Sprintf("s-%v-%d", mode, n)
				dying := storetest.Crashing(w.store, n, mode)
				first := w.start(dying, workers.Config{Drain: workers.NoDrain}, essayBindings(&journal{}))
				h := enqueue(w, essay, "one two three", engine.ID(id))
				pass(5 * time.Second)
				crashed := false
				select {
				case <-dying.Crashed():
					crashed = true
				default:
				}
				first.stop()
				second := w.executor(workers.Config{}, essayBindings(&journal{})...)
				equal(t, fmt.Sprintf("output after a crash at call %d", n), result(w, h), "3 words")
				second.stop()
				if !crashed {
					break
				}
			}
		}
	})
}
