package engine

import (
	"context"
	"fmt"
	"strings"
	"testing"
)

func TestAnExecutorFindsTasksThatNobodyCanRun(t *testing.T) {
	mail, step := Define[string, string]("mail", Queue("mails")), Define[string, string]("step")
	chain := Define[string, string]("chain")
	fn := func(context.Context, string) (string, error) { return "", nil }
	bindings := map[string]Binding{"mail": Bind(mail, fn), "chain": BindSequence(chain, Then(step, mail))}
	serves := func(queue string, tasks ...string) Presence {
		p := Presence{Queues: map[string]int{queue: 1}}
		for _, id := range tasks {
			p.Tasks = append(p.Tasks, BoundTask{ID: id})
		}
		return p
	}
	queue, follow := `task "mail" goes to queue mails, but no executor that binds the task serves this queue`, `task "chain" leads to task "step", which no executor binds`
	spawn := `task "mail" leads to task "child", which no executor binds`
	for _, c := range []struct {
		name    string
		queues  map[string]int
		spawned map[string]string
		others  []Presence
		want    []string
	}{
		{"alone", map[string]int{"default": 1}, nil, nil, []string{queue, follow}},
		{"alone with both queues", map[string]int{"default": 1, "mails": 1}, nil, nil, []string{follow}},
		{"somebody serves the queue without the task", map[string]int{"default": 1}, nil, []Presence{serves("mails", "step")}, []string{queue}},
		{"somebody binds the task and serves another queue", map[string]int{"default": 1}, nil, []Presence{serves("default", "mail", "step")}, []string{queue}},
		{"others do the rest", map[string]int{"default": 1}, nil, []Presence{serves("mails", "mail"), serves("default", "step")}, nil},
		{"a spawned task that nobody binds", map[string]int{"default": 1, "mails": 1}, map[string]string{"child": "mail"}, []Presence{serves("default", "step")}, []string{spawn}},
		{"a spawned task that is bound", map[string]int{"default": 1, "mails": 1}, map[string]string{"child": "mail"}, []Presence{serves("default", "step", "child")}, nil},
	} {
		var got []string
		for _, g := range Gaps(bindings, c.queues, c.spawned, c.others) {
			got = append(got, g.String())
		}
		if fmt.Sprint(got) != fmt.Sprint(c.want) {
			t.Errorf("%s: gaps = %q, want %q", c.name, got, c.want)
		}
	}
}

func TestCodeForASleepingTaskIsRefused(t *testing.T) {
	approve := DefineSleeping[string, bool]("approve")
	if err := BindSleeping(approve).Check(); err != nil {
		t.Error(err)
	}
	for how, b := range map[string]Binding{
		"Bind":       Bind(approve.Task, func(context.Context, string) (bool, error) { return true, nil }),
		"BindParent": BindParent(approve.Task, func(context.Context, string, *Children) (int, error) { return 0, nil }, func(context.Context, Joined[string, int]) (bool, error) { return true, nil }),
	} {
		if err := b.Check(); err == nil || !strings.Contains(err.Error(), "its code would never run") || !strings.Contains(err.Error(), "gaps_test.go") {
			t.Errorf("%s of a sleeping task: %v, want an error that its code would never run, with its place", how, err)
		}
	}
}
