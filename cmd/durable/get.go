package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/durable-execution/durable/engine"
)

func (a *app) get() *cobra.Command {
	return &cobra.Command{
		Use:        "get ID",
		SuggestFor: []string{"show", "describe", "status"},
		Short:      "Show an execution: status, times, attempts, input and output",
		Args:       executionID,
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			s, err := a.open(cmd)
			if err != nil {
				return err
			}
			defer s.close()
			x, err := engine.NewClient(s).Get(ctx, args[0])
			if err != nil {
				return a.missing(ctx, s, args[0], err)
			}
			v, err := fullViewOf(ctx, s, x)
			if err != nil {
				return err
			}
			lost := s.lost(ctx, []engine.Execution{x})
			v.Lose(x, lost)
			if a.json {
				v.Closed = &x.Closed
				return printJSON(a.out, v)
			}
			a.printExecution(x, v, time.Now(), lost)
			return nil
		},
	}
}

// printExecution prints one line for each property: a label and a value.
func (a *app) printExecution(x engine.Execution, v *view, now time.Time, lost engine.LostExecutors) {
	line := func(label, format string, args ...any) {
		fmt.Fprintf(a.out, "%s %s\n", a.out.paint(faint, fmt.Sprintf("%-10s", label)), fmt.Sprintf(format, args...))
	}
	at := func(label string, t time.Time, more string) {
		if !t.IsZero() {
			line(label, "%s  %s%s", a.stamp(t), ago(t, now), more)
		}
	}
	line("execution", "%s", a.out.paint(bold, x.ID))
	line("task", "%s, queue %s", x.Task, x.Queue)
	if x.Parent != "" {
		role := fmt.Sprintf("child %d", x.Index)
		if x.IsFinalize {
			role = "its finalize"
		}
		line("parent", "%s; this is %s", x.Parent, role)
	}
	if x.RetryOf != "" {
		line("retry of", "%s", x.RetryOf)
	}
	if len(x.Metadata) > 0 {
		line("metadata", "%s", pairsOf(x.Metadata))
	}
	status := a.display(x, now, lost)
	switch {
	case x.Sleeping && x.Status == engine.Running:
		status += ": durable wake finishes it"
	case lost.Of(x) != nil:
		status += ": " + oneLine(x.Executor) + ": " + a.silence(lost.Of(x), now)
	}
	line("status", "%s", status)
	at("created", x.CreatedAt, "")
	if x.Status == engine.Ready && x.StartAt.After(now) {
		at("starts", x.StartAt, "")
	}
	if first := firstStart(x); !first.IsZero() {
		at("started", first, ", after "+span(first.Sub(x.CreatedAt)))
		if !x.FinishedAt.IsZero() {
			at("finished", x.FinishedAt, ", took "+span(x.FinishedAt.Sub(first)))
		}
	} else {
		at("finished", x.FinishedAt, ", without having started")
	}
	a.printAttempts(x, line)
	if x.Spawned > 0 || x.Finalize != nil {
		line("children", "%s", childrenOf(x))
	}
	if x.Failure != nil {
		line("error", "%s", a.out.paint(statusColour(engine.Failed), oneLine(x.Failure.Display())))
	}
	for _, c := range x.ChildFailures {
		line("", "%s (%s) %s: %s", c.ID, c.Task, c.Status, oneLine(c.Message))
	}
	if x.Failure != nil && x.Failure.Stack != "" {
		line("stack", "%s", strings.ReplaceAll(strings.TrimSpace(printableText(x.Failure.Stack)), "\n", "\n           "))
	}
	if v.Input != nil {
		line("input", "%s", readable(v.Input))
	}
	if v.Output != nil {
		line("output", "%s", readable(v.Output))
	}
}

// pairsOf formats metadata as a user types it, sorted by key.
func pairsOf(m engine.Metadata) string {
	var pairs []string
	for _, key := range slices.Sorted(maps.Keys(m)) {
		pairs = append(pairs, key+"="+quoted(printable(m[key])))
	}
	return strings.Join(pairs, " ")
}

func (a *app) printAttempts(x engine.Execution, line func(string, string, ...any)) {
	most := "at most " + count(x.Policy.Retry.MaxRetries, "retry", "retries")
	if x.Policy.Retry.MaxRetries == 0 {
		most = "no retries"
	}
	timeout := "no timeout"
	if x.Policy.Timeout > 0 {
		timeout = "timeout " + span(x.Policy.Timeout)
	}
	line("attempts", "%s; %s, %s", tries(x), most, timeout)
	for _, t := range x.History {
		end := a.out.paint(green, "returned")
		if t.Failure != nil {
			end = a.out.paint(red, oneLine(t.Failure.Display()))
		}
		line("", "%d  %s  %s on %s: %s", t.Number, a.stamp(t.StartedAt), span(t.EndedAt.Sub(t.StartedAt)), oneLine(t.Executor), end)
	}
	if x.Status == engine.Running && x.Sleeping {
		return
	}
	if x.Status == engine.Running {
		line("", "%d  %s  running on %s", x.Attempt, a.stamp(x.StartedAt), oneLine(x.Executor))
	}
}

// firstStart returns when the oldest attempt that the record remembers began.
func firstStart(x engine.Execution) time.Time {
	if len(x.History) > 0 {
		return x.History[0].StartedAt
	}
	return x.StartedAt
}

// tries formats the number of attempts, polls and crashes of an execution.
func tries(x engine.Execution) string {
	n := len(x.History)
	if x.Status == engine.Running {
		n++
	}
	s := grouped(n)
	if x.Polls > 0 {
		s += ", after " + count(x.Polls, "poll", "polls") + " without a result"
	}
	if x.Crashes > 0 {
		s += " (" + count(x.Crashes, "crash", "crashes") + ")"
	}
	return s
}

func childrenOf(x engine.Execution) string {
	s := fmt.Sprintf("%s of %s ended", grouped(x.Ended.Len()), grouped(x.Spawned))
	if x.Finalize != nil {
		s += "; finalize " + x.Finalize.Task
	}
	return s
}

// readable returns JSON for people: on several lines if it is long.
func readable(data json.RawMessage) string {
	var b bytes.Buffer
	if len(data) <= 60 || json.Indent(&b, data, "           ", "  ") != nil {
		return printableText(string(data))
	}
	return printableText(b.String())
}
