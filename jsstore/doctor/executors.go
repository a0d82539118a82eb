package doctor

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/durable-execution/durable/engine"
)

// examineExecutors calls the roll and compares the answers.
func (e *examiner) examineExecutors(ctx context.Context) {
	answers, err := e.RollCall(ctx, engine.RollCall{For: e.Roll})
	if err != nil {
		e.unknown("executor.present", "", err)
		return
	}
	slices.SortFunc(answers, func(a, b engine.Answer) int { return strings.Compare(a.Executor, b.Executor) })
	e.Executors = answers
	e.judgeLostExecutors(ctx, answers)
	if len(answers) == 0 {
		e.find(Note, "executor.present", "", "no executor answers", "no execution runs until there is one",
			"start one; if some are running, they have a version without roll calls, use another namespace or account, or this user may not ask")
		return
	}
	names := map[string]int{}
	for _, a := range answers {
		names[a.Executor]++
		e.judgeExecutor(a)
	}
	for name, n := range names {
		if n > 1 {
			e.find(Problem, "executor.names", name, fmt.Sprintf("%d executors have this name", n),
				"records and logs can't tell who runs what", "give each a name of its own in workers.Config, or none")
		}
	}
	e.judgeFleet()
	running, slots := 0, 0
	for _, a := range answers {
		running, slots = running+a.Running, slots+a.Slots
	}
	e.fine("executor.present", "%s, %d of %d slots in use", counted(len(answers), "executor answers", "executors answer"), running, slots)
	e.fine("executor.failing", "none of them has background work that fails")
	e.fine("executor.clock", "their clocks agree with this one")
}

// judgeLostExecutors tells of executors that run executions by their records and that do
// not answer.
func (e *examiner) judgeLostExecutors(ctx context.Context, answers []engine.Answer) {
	if e.streams[e.layout.Ready()] == nil || e.streams[e.layout.Timers()] == nil || e.streams[e.layout.Records()] == nil {
		return
	}
	running, err := e.Scan().Running(ctx)
	if err != nil {
		return // work.stuck reports an error that prevents reading records
	}
	lost, err := engine.NewLookout(e.Store).FindAmong(ctx, running, answers)
	if err != nil {
		return // the check of the roll call reports it
	}
	for _, l := range lost.All() {
		found := fmt.Sprintf("has not answered for %s; according to their records, it runs %s", ageOf(time.Since(l.SilentSince)), counted(l.Running, "execution", "executions"))
		if l.TakenOverBy.IsZero() {
			e.find(Warning, "executor.lost", l.Executor, found, "no other executor can take them over", "start one that serves "+strings.Join(slices.Sorted(maps.Keys(l.Queues)), ", "))
			continue
		}
		e.find(Note, "executor.lost", l.Executor, found+"; another executor takes them over by "+l.TakenOverBy.UTC().Format(time.RFC3339), "it has crashed, hangs, or is cut off", "")
	}
}

func (e *examiner) judgeExecutor(a engine.Answer) {
	for what, since := range a.Failing {
		if key, ok := strings.CutPrefix(what, engine.NoKey); ok {
			e.find(Warning, "executor.failing", a.Executor, fmt.Sprintf("lacks %s, for %s", key, ageOf(a.Now.Sub(since))),
				"executions with such payloads wait until an executor of their queue has it", "start an executor whose codec.Config.Wrappers have it")
			continue
		}
		e.find(Warning, "executor.failing", a.Executor, fmt.Sprintf("%q has been failing for %s (%d times in all)", what, ageOf(a.Now.Sub(since)), a.Failures[what]),
			"this work is delayed; the executor keeps retrying it", "its log says why, under \"background work fails\"")
	}
	if a.Strays > 0 {
		e.find(Warning, "executor.strays", a.Executor, counted(a.Strays, "attempt that is over is still running", "attempts that are over are still running")+": the code ignores its context",
			"each holds a goroutine and its locks; its result is discarded", "its log has the stacks; the code has to return when ctx.Done() is closed")
	}
	if a.Stopping {
		e.find(Note, "executor.stopping", a.Executor, "is shutting down; "+counted(a.Running, "attempt still runs", "attempts still run"), "", "")
	}
	if ahead, give := a.Offset(); ahead.Abs() > clockTolerance+give {
		e.find(Warning, "executor.clock", a.Executor, "its clock is "+offBy(ahead, give),
			"the server's clock decides when its delays, back-offs and time-outs end: they are wrong by as much", "run a time service (chrony, systemd-timesyncd) on "+a.Host)
	}
	if e.settled && a.Lease > 0 && a.Lease != e.ns.Limits.Lease {
		e.find(Warning, "executor.lease", a.Executor, fmt.Sprintf("uses a lease of %s, but the namespace has %s", a.Lease, e.ns.Limits.Lease),
			"it renews at a third of its own lease; if the namespace's is shorter that is too late, and other executors start its attempts again", "restart it")
	}
}

// judgeFleet compares the executors with each other.
func (e *examiner) judgeFleet() {
	durables, records, programs := map[string][]string{}, map[string][]string{}, map[string]map[string][]string{}
	for _, a := range e.Executors {
		durables[a.Version] = append(durables[a.Version], a.Executor)
		v := fmt.Sprint("version ", a.RecordVersion)
		records[v] = append(records[v], a.Executor)
		path, version, _ := strings.Cut(a.Program, " ")
		if programs[path] == nil {
			programs[path] = map[string][]string{}
		}
		programs[path][version] = append(programs[path][version], a.Executor)
	}
	if len(records) > 1 {
		e.find(Warning, "executor.versions", "", "they read records of different versions: "+grouping(records),
			"older executors leave the records of newer ones alone: these wait for a newer executor", "finish the deploy")
	}
	if len(durables) > 1 {
		e.find(Note, "executor.versions", "", "they are built with several versions of durable: "+grouping(durables), "this is normal during a deploy", "finish the deploy")
	}
	for path, versions := range programs {
		if len(versions) > 1 {
			e.find(Note, "executor.versions", path, "runs in several versions: "+grouping(versions), "this is normal during a deploy", "finish the deploy")
		}
	}
	e.fine("executor.versions", "all of one version%s", named(durables))
	e.judgeTypes()
}

func named(versions map[string][]string) string {
	for v := range versions {
		if v != "" {
			return ", durable " + v
		}
	}
	return ""
}

// judgeTypes checks that all executors that have bound a task agree on its types.
func (e *examiner) judgeTypes() {
	prints := map[string]map[string][]string{}
	for _, a := range e.Executors {
		for _, t := range a.Tasks {
			if prints[t.ID] == nil {
				prints[t.ID] = map[string][]string{}
			}
			key := t.Input + " to " + t.Output + ", " + t.Fingerprint
			prints[t.ID][key] = append(prints[t.ID][key], a.Executor)
		}
	}
	for task, kinds := range prints {
		if len(kinds) > 1 {
			e.find(Warning, "executor.types", task, "the task has different types: "+grouping(kinds),
				"one executor may not be able to read what another enqueues or spawns", "finish the deploy; a change that old inputs don't survive needs a new task")
		}
	}
	e.fine("executor.types", "%s, with the same types everywhere", counted(len(prints), "task", "tasks"))
}

// ageOf formats a duration for people.
func ageOf(d time.Duration) string {
	switch {
	case d < 10*time.Second:
		return d.Round(time.Millisecond).String()
	case d < 2*time.Hour:
		return d.Round(time.Second).String()
	}
	return d.Round(time.Minute).String()
}
