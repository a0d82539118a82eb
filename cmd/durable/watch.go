package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/durable-execution/durable/engine"
)

func (a *app) watch() *cobra.Command {
	return &cobra.Command{
		Use:   "watch [ID]",
		Short: "Print a line for each change of an execution, as it happens",
		Long: "Print a line for each change of an execution as it happens, until interrupted. With\n" +
			"an ID, print the changes in its tree, until that execution has finished. If changes\n" +
			"follow each other quickly, the command may print only the last one, and a queued\n" +
			"execution appears once it has started. With --json each line has the form that\n" +
			"durable list --jsonl prints.",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return nil
			}
			return executionID(cmd, args)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := a.open(cmd)
			if err != nil {
				return err
			}
			defer s.close()
			if len(args) == 1 {
				return a.watchOne(cmd.Context(), s, args[0])
			}
			return a.watchAll(cmd.Context(), s)
		},
	}
}

func (a *app) watchAll(ctx context.Context, s *store) error {
	if s.own { // no other process can open the store while this one watches
		return a.nobodyExecutes()
	}
	all, err := s.changes(ctx, "")
	if err != nil {
		return err
	}
	for c, err := range s.watched(ctx, nil, all, func(engine.Execution) bool { return true }) {
		if err == nil {
			err = a.printChange(c)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// watchOne prints the changes of a tree until the execution id has finished.
func (a *app) watchOne(ctx context.Context, s *store, id string) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	// Subscribe before reading, so that the end can't be missed.
	tree, err := s.changes(ctx, engine.RootOf(id))
	if err != nil {
		return err
	}
	x, err := engine.NewClient(s).Get(ctx, id)
	if err != nil {
		return a.missing(ctx, s, id, err)
	}
	for c, err := range s.watched(ctx, []engine.Execution{x}, tree, func(engine.Execution) bool { return true }) {
		if err == nil {
			err = a.printChange(c)
		}
		if err != nil || c.ID == id && c.Status.Finished() {
			return a.missing(ctx, s, id, err)
		}
		if s.own {
			return a.nobodyExecutes()
		}
	}
	return nil
}

// printChange prints the new state of an execution.
func (a *app) printChange(c change) error {
	x := c.Execution
	if a.json {
		return printJSON(a.out, viewOf(x, c.lost))
	}
	at, lost := x.ChangedAt, c.lost.Of(x)
	if at.IsZero() || lost != nil {
		at = time.Now()
	}
	text := fmt.Sprintf("%s  %s  %s", x.ID, x.Task, a.display(x, time.Now(), c.lost))
	switch {
	case lost != nil:
		text += ": " + oneLine(x.Executor) + ": " + a.silence(lost, time.Now())
	case x.Status == engine.Running && x.Attempt > 0:
		text += ", retry " + grouped(x.Attempt)
	case x.Failure != nil:
		text += ": " + oneLine(x.Failure.Display())
	}
	_, err := fmt.Fprintln(a.out, a.out.paint(faint, a.clock(at))+"  "+snip(text, max(a.out.width()-10, 0)))
	return err
}
