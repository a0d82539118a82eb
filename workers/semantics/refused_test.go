package semantics_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/engine/memstore"
	"github.com/durable-execution/durable/workers"
)

// New refuses bindings that are nil or can never run. The error names the place in the source.

type (
	str  = engine.Task[string, string]
	ends = engine.Joined[string, string]
)

func TestWhatCanNeverRunIsRefusedWhenTheProgramStarts(t *testing.T) {
	task := engine.Define[string, string]("task")
	step := engine.Define[string, string]("step")
	otherStep := engine.Define[string, int]("step")
	last := engine.Define[ends, string]("last")
	otherLast := engine.Define[ends, int]("last")
	deep := engine.Define[engine.Joined[any, any], any]("deep")
	anyTask := engine.Define[any, any]("any")
	poll := engine.DefinePoll[string, string]("poll", engine.Poll{Every: time.Second})
	code := func(_ context.Context, in string) (string, error) { return in, nil }
	var none func(context.Context, string) (string, error)
	var noParent func(context.Context, string, *engine.Children) (string, error)
	parent := func(_ context.Context, in string, _ *engine.Children) (string, error) { return in, nil }
	anyParent := func(context.Context, any, *engine.Children) (any, error) { return nil, nil }
	for name, c := range map[string]struct {
		bs   []engine.Binding
		says []string
	}{
		"the zero Binding":           {[]engine.Binding{{}}, []string{"a binding is empty"}},
		"Bind of nil":                {[]engine.Binding{engine.Bind(task, none)}, []string{`"task"`, "nil"}},
		"Bind of the zero Task":      {[]engine.Binding{engine.Bind(str{}, code)}, []string{"zero Task"}},
		"BindParent of nil":          {[]engine.Binding{engine.BindParent(task, noParent, joins)}, []string{`"task"`, "nil"}},
		"BindParent, no finalize":    {[]engine.Binding{engine.BindParent[string, string, string](task, parent, nil)}, []string{`"task-finalize"`, "nil"}},
		"BindParent of zero":         {[]engine.Binding{engine.BindParent(str{}, parent, joins)}, []string{"zero Task"}},
		"BindParentTask of nil":      {[]engine.Binding{engine.BindParentTask(task, noParent, last)}, []string{`"task"`, "nil"}},
		"BindParentTask, zero last":  {[]engine.Binding{engine.BindParentTask(task, parent, engine.Task[ends, string]{})}, []string{`"task"`, "finalize", "zero Task"}},
		"BindFanOut of nil":          {[]engine.Binding{engine.BindFanOut[string, string](engine.Define[string, engine.Gathered[string]]("fan"), nil)}, []string{`"fan"`, "nil"}},
		"BindPoll of nil":            {[]engine.Binding{engine.BindPoll(poll, nil)}, []string{`"poll"`, "nil"}},
		"BindSleeping of zero":       {[]engine.Binding{engine.BindSleeping(engine.SleepingTask[string, string]{})}, []string{"zero Task"}},
		"BindSequence of nil":        {[]engine.Binding{engine.BindSequence[string, string](task, nil)}, []string{`"task"`, "nil"}},
		"BindSequence, zero step":    {[]engine.Binding{engine.BindSequence(task, engine.Then(step, str{}))}, []string{`"task"`, "step 2"}},
		"BindSequence after nothing": {[]engine.Binding{engine.BindSequence(task, engine.Then[string, string, string](nil, step))}, []string{`"task"`, "step 1"}},
		"a finalize of its name": {[]engine.Binding{engine.BindParentTask(task, parent, engine.Define[ends, string]("task"))},
			[]string{`"task"`, "defined twice"}},
		"a finalize that is another's": {[]engine.Binding{engine.BindParentTask(task, parent, last), engine.Bind(otherLast, func(context.Context, ends) (int, error) { return 0, nil })},
			[]string{`"last"`, "defined twice"}},
		"a step that is another's": {[]engine.Binding{engine.BindSequence(task, step), engine.Bind(otherStep, func(context.Context, string) (int, error) { return 0, nil })},
			[]string{`"step"`, "defined twice"}},
		"two steps of one name": {[]engine.Binding{engine.BindSequence(task, step), engine.BindSequence(engine.Define[string, int]("more"), otherStep)},
			[]string{`"step"`, "defined twice"}},
		"its own step":   {[]engine.Binding{engine.BindSequence(task, engine.Then(step, task))}, []string{`"task"`, "never finish"}},
		"steps of steps": {[]engine.Binding{engine.BindSequence(task, step), engine.BindSequence(step, task)}, []string{`"step"`, "task", "never finish"}},
		"its finalize's finalize": {[]engine.Binding{engine.BindParentTask(deep, func(context.Context, engine.Joined[any, any], *engine.Children) (any, error) { return nil, nil },
			engine.Define[engine.Joined[engine.Joined[any, any], any], any]("deeper")),
			engine.BindParentTask(anyTask, anyParent, deep),
			engine.BindSequence(engine.Define[engine.Joined[engine.Joined[any, any], any], any]("deeper"), engine.Define[engine.Joined[engine.Joined[any, any], any], any]("deeper"))},
			[]string{"deeper", "never finish"}},
	} {
		_, err := workers.New(memstore.New(memstore.Config{}), workers.Config{}, c.bs...)
		if err == nil {
			t.Errorf("%s: accepted", name)
			continue
		}
		contains(t, name, err.Error(), c.says...)
		if name != "the zero Binding" && !here.MatchString(err.Error()) {
			t.Errorf("%s: %q, want the place in it", name, err)
		}
	}
}

func TestWhatIsNilIsRefused(t *testing.T) {
	s := memstore.New(memstore.Config{})
	client, task := engine.NewClient(s), engine.Define[string, string]("task")
	sleeps := engine.DefineSleeping[string, string]("sleeps")
	for name, err := range map[string]error{
		"New":                    second(workers.New(nil, workers.Config{})),
		"Enqueue, no client":     second(task.Enqueue(t.Context(), nil, "in")),
		"EnqueueMany, no client": second(task.EnqueueMany(t.Context(), nil, []string{"in"})),
		"Enqueue, zero Task":     second(str{}.Enqueue(t.Context(), client, "in")),
		"Enqueue, nil option":    second(task.Enqueue(t.Context(), client, "in", nil)),
		"WakeError":              sleeps.WakeError(t.Context(), client, "x", nil),
	} {
		if err == nil || (name != "New" && !errors.Is(err, engine.ErrInvalidOption)) {
			t.Errorf("%s: %v, want a refusal", name, err)
		}
	}
	for name, fn := range map[string]func(){
		"NewClient":         func() { engine.NewClient(nil) },
		"NewClient, option": func() { engine.NewClient(s, nil) },
		"Define, option":    func() { engine.Define[int, int]("task", nil) },
		"ValidateInput":     func() { task.ValidateInput(nil) },
	} {
		contains(t, name, panics(fn), "nil")
	}
}

func second[A any](_ A, err error) error { return err }
