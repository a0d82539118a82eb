package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/durable-execution/durable/engine"
)

func (a *app) wait() *cobra.Command {
	var timeout time.Duration
	cmd := &cobra.Command{
		Use:   "wait ID",
		Short: "Wait until an execution has finished, and print its output",
		Long: "Wait until an execution has finished, and print its output as JSON; with --json,\n" +
			"print everything that get prints. Exit code 1 means that the execution did not\n" +
			"complete, or has not finished within --timeout; in that case it goes on running.",
		Args: executionID,
		RunE: func(cmd *cobra.Command, args []string) error {
			if timeout < 0 {
				return usage("0 means no limit", "--timeout %s: negative", timeout)
			}
			s, err := a.open(cmd)
			if err != nil {
				return err
			}
			defer s.close()
			ctx, cancel := a.within(cmd.Context(), args[0], timeout)
			defer cancel()
			return a.await(ctx, s, args[0])
		},
	}
	durationVar(cmd.Flags(), &timeout, "timeout", "how long to wait; 0 means no limit")
	return cmd
}

// within limits how long the command waits for an execution; 0 means no limit.
func (a *app) within(ctx context.Context, id string, timeout time.Duration) (context.Context, context.CancelFunc) {
	if timeout == 0 {
		return ctx, func() {}
	}
	late := &exitError{exitIncomplete, fmt.Errorf("%s has not finished within %s", id, timeout), a.command("get "+id) + " shows its state"}
	return context.WithTimeoutCause(ctx, timeout, late)
}

// await waits until an execution has finished and prints its output, or returns why
// there is no output.
func (a *app) await(ctx context.Context, s *store, id string) error {
	client := engine.NewClient(s)
	x, err := client.Get(ctx, id)
	if err == nil && !x.Status.Finished() {
		if s.own { // no other process can open the store while this one waits
			return &exitError{exitIncomplete, fmt.Errorf("%s is %s, and no executor is running in this store", id, x.Display(time.Now(), false)),
				"start one: durable demo, durable dev or your own executor"}
		}
		x, err = client.Wait(ctx, id)
	}
	if err != nil {
		return a.missing(ctx, s, id, waitedFor(ctx, err))
	}
	v, err := fullViewOf(ctx, s, x)
	if err != nil {
		return err
	}
	switch {
	case a.json:
		err = printJSON(a.out, v)
	case x.Status != engine.Completed:
	case v.Output != nil:
		err = printJSON(a.out, v.Output)
	default:
		_, err = fmt.Fprintln(a.out, "null")
	}
	if err == nil && x.Status != engine.Completed {
		err = &exitError{exitIncomplete, x.Err(), a.command("tree "+engine.RootOf(id)) + " shows which execution failed"}
	}
	return err
}

// waitedFor returns the time-out if it ended the call that returned err, and otherwise err.
func waitedFor(ctx context.Context, err error) error {
	if late := (*exitError)(nil); ctx.Err() != nil && errors.As(context.Cause(ctx), &late) {
		return late
	}
	return err
}
