package main

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/engine/history"
)

func (a *app) history() *cobra.Command {
	var execution string
	cmd := &cobra.Command{
		Use:   "history FILE|-",
		Short: "Print the history of a fault test, and recheck it",
		Long: "Print the history that a fault test wrote, as a timeline, and recheck it against the\n" +
			"promises of the engine. The command opens no store. Exit code 1 means that the\n" +
			"history breaks a promise; a file that is not a history is a usage error.",
		Args: exactly(1, "one file"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if execution != "" {
				if err := checkID("--execution", execution); err != nil {
					return err
				}
			}
			h, err := a.readHistory(cmd.Context(), args[0])
			if err != nil {
				return usage("a failing fault test prints the path of its history", "%w", err)
			}
			found := history.Check(h)
			if err := a.printHistory(h, execution, found); err != nil {
				return err
			}
			if len(found) > 0 {
				return &exitError{code: exitIncomplete}
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&execution, "execution", "", "print only events of this execution and those below it, and faults")
	return cmd
}

// mostHistory is the greatest size of a history in bytes: the command holds all of it in
// memory.
const mostHistory = 1 << 30

// readHistory reads a history from a file, or from standard input for -.
func (a *app) readHistory(ctx context.Context, path string) (history.History, error) {
	var text []byte
	var err error
	if path == "-" {
		text, err = readAll(a.in, mostHistory)
	} else {
		text, err = readFile(ctx, path, mostHistory)
	}
	var h history.History
	if err == nil {
		h, err = history.Read(bytes.NewReader(text))
	}
	if err != nil {
		return h, fmt.Errorf("history %s: %w", printable(path), err)
	}
	return h, nil
}

// A historyView is a history as --json prints it.
type historyView struct {
	Events     []history.Event     `json:"events"`
	Violations []history.Violation `json:"violations"`
}

func (a *app) printHistory(h history.History, execution string, found []history.Violation) error {
	if a.json {
		v := historyView{Events: []history.Event{}, Violations: []history.Violation{}}
		v.Violations = append(v.Violations, found...)
		for _, e := range h.Events {
			if concerns(e, execution) {
				v.Events = append(v.Events, e)
			}
		}
		if !a.jsonl {
			return printJSON(a.out, v)
		}
		if err := printAll(a, v.Events, v); err != nil {
			return err
		}
		return printAll(a, v.Violations, v)
	}
	fmt.Fprintf(a.out, "%s: seed %d, lease %s, %s, %s\n", oneLine(h.Name), h.Seed, span(h.Lease),
		count(len(h.Events), "event", "events"), count(len(h.Records), "record", "records"))
	var first time.Time
	for _, e := range h.Events {
		if first.IsZero() {
			first = e.At
		}
		if concerns(e, execution) {
			a.printEvent(e, e.At.Sub(first))
		}
	}
	for _, x := range h.Records {
		if within(x.ID, execution) && (execution != "" || !x.Status.Finished()) {
			a.printRecord(x)
		}
	}
	for _, v := range found {
		fmt.Fprintf(a.out, "%s %s\n", a.out.paint(red, "broken"), oneLine(v.String()))
	}
	if len(found) == 0 {
		fmt.Fprintf(a.out, "%s\n", a.out.paint(green, "holds"))
		return nil
	}
	fmt.Fprintln(a.out, count(len(found), "promise broken", "promises broken"))
	return nil
}

// concerns reports whether an event belongs to the tree below execution, or is a fault,
// which belongs to no execution.
func concerns(e history.Event, execution string) bool {
	return execution == "" || within(e.Execution, execution) || e.Place != ""
}

func within(id, execution string) bool {
	return execution == "" || id == execution ||
		strings.HasPrefix(id, execution+".") || (strings.Contains(execution, ".") && strings.HasPrefix(id, execution+"-"))
}

func (a *app) printEvent(e history.Event, since time.Duration) {
	line := fmt.Sprintf("%10.3f  %-12s %-15s", since.Seconds(), snip(oneLine(e.Process), 12), e.Kind)
	if e.Execution != "" {
		line += " " + e.Execution
	}
	if e.Kind == history.Began || e.Kind == history.Left {
		line += fmt.Sprintf(" attempt %d", e.Attempt)
	}
	for _, more := range []string{string(e.Place), string(e.Status), e.Output, e.Text} {
		if more != "" {
			line += " " + oneLine(more)
		}
	}
	paint := colour("")
	switch e.Kind {
	case history.Struck, history.FaultBegan, history.FaultEnded:
		paint = yellow
	}
	fmt.Fprintln(a.out, a.out.paint(paint, line))
}

func (a *app) printRecord(x engine.Execution) {
	fmt.Fprintf(a.out, "    record  %s %s attempt %d, %s, closed %v", x.ID, x.Status, x.Attempt, count(x.Crashes, "crash", "crashes"), x.Closed)
	if x.Failure != nil {
		fmt.Fprintf(a.out, ": %s", oneLine(x.Failure.Message))
	}
	fmt.Fprintln(a.out)
	for _, h := range x.History {
		fmt.Fprintf(a.out, "            attempt %d in %s, %s to %s", h.Number, oneLine(h.Executor), a.stamp(h.StartedAt), a.stamp(h.EndedAt))
		if h.Failure != nil {
			fmt.Fprintf(a.out, ": %s", oneLine(h.Failure.Message))
		}
		fmt.Fprintln(a.out)
	}
}
