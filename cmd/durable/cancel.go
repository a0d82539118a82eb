package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/durable-execution/durable/engine"
)

func (a *app) cancel() *cobra.Command {
	var l loss
	cmd := &cobra.Command{
		Use:        "cancel ID",
		SuggestFor: []string{"stop", "kill"},
		Short:      "Cancel an execution and everything below it",
		Long: "Cancel an execution and everything below it. When the command returns, the\n" +
			"execution's record says cancelled, with the reason. The command asks before it\n" +
			"cancels; --yes skips the question, and is required where there is no terminal.\n" +
			"Exit code 1 means that the execution had already finished, which is final.",
		Args: executionID,
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, id := cmd.Context(), args[0]
			if err := a.mustBeSure(cmd, l.yes); err != nil {
				return err
			}
			s, err := a.open(cmd)
			if err != nil {
				return err
			}
			defer s.close()
			if err := a.confirm(ctx, l.yes, "cancel "+id+" and everything below it?"); err != nil {
				return err
			}
			if err := engine.NewClient(s).Cancel(ctx, id, l.reason); err != nil {
				return a.missing(ctx, s, id, err)
			}
			if a.json {
				return printJSON(a.out, struct {
					ID     string        `json:"executionId"`
					Status engine.Status `json:"status"`
					Reason string        `json:"reason"`
				}{id, engine.Cancelled, l.reason})
			}
			fmt.Fprintf(a.out, "cancelled %s%s\n", id, l.because())
			if s.own {
				fmt.Fprintln(a.out, "no executor is running in this store: the executions below it are cancelled once an executor runs")
			}
			return nil
		},
	}
	return l.flags(cmd, "cancelled from the command line", "why; the record keeps it")
}
