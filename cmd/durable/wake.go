package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/durable-execution/durable/codec"
	"github.com/durable-execution/durable/engine"
)

func (a *app) wake() *cobra.Command {
	var output, reason string
	cmd := &cobra.Command{
		Use:   "wake ID",
		Short: "Finish a sleeping execution with an output or an error",
		Long: "Finish a sleeping execution: with --output it completes, with --error it fails.\n" +
			"Exit code 1 means that it had already finished, or that it is not sleeping.",
		Args: executionID,
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, id := cmd.Context(), args[0]
			fails := cmd.Flags().Changed("error")
			if fails == cmd.Flags().Changed("output") {
				return usage("durable wake --help explains them", "wake needs exactly one of --output and --error")
			}
			var p codec.Payload
			if !fails {
				var err error
				if p, err = a.readJSON(ctx, "--output", output); err != nil {
					return err
				}
			}
			s, err := a.open(cmd)
			if err != nil {
				return err
			}
			defer s.close()
			c, status := engine.NewClient(s), engine.Completed
			if fails {
				status = engine.Failed
				err = c.WakeError(ctx, id, reason)
			} else if err = judgeOutput(ctx, s, id, p); err == nil {
				err = c.Wake(ctx, id, p)
			}
			if err != nil {
				return a.missing(ctx, s, id, err)
			}
			if a.json {
				return printJSON(a.out, struct {
					ID     string        `json:"executionId"`
					Status engine.Status `json:"status"`
				}{id, status})
			}
			fmt.Fprintf(a.out, "woke %s: it has %s\n", id, status)
			return nil
		},
	}
	cmd.Flags().StringVar(&output, "output", "", "the output: JSON, @FILE or - for standard input")
	cmd.Flags().StringVar(&reason, "error", "", "why it fails; the record keeps it")
	return cmd
}
