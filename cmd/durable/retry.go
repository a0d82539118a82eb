package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/durable-execution/durable/codec"
	"github.com/durable-execution/durable/engine"
)

func (a *app) retry() *cobra.Command {
	var input, name string
	cmd := &cobra.Command{
		Use:   "retry ID",
		Short: "Rerun a tree that did not complete, as a new execution",
		Long: "Rerun the tree that ID belongs to: enqueue its root as a new execution, with the\n" +
			"same input or with the one that --input gives. The old tree stays as it is; get\n" +
			"shows the link between the two. Exit code 1 means that the old root has not\n" +
			"finished, or that it completed.",
		Args: executionID,
		RunE: func(cmd *cobra.Command, args []string) error {
			var given *codec.Payload
			if cmd.Flags().Changed("input") {
				p, err := a.readJSON(cmd.Context(), "--input", input)
				if err != nil {
					return err
				}
				given = &p
			}
			var opts []engine.Option
			if cmd.Flags().Changed("id") {
				opts = append(opts, engine.ID(name))
			}
			s, err := a.open(cmd)
			if err != nil {
				return err
			}
			defer s.close()
			id, err := engine.NewClient(s).Retry(cmd.Context(), args[0], given, opts...)
			if err != nil {
				return a.missing(cmd.Context(), s, args[0], err)
			}
			if a.json {
				return printJSON(a.out, struct {
					ID      string `json:"executionId"`
					RetryOf string `json:"retryOf"`
				}{id, engine.RootOf(args[0])})
			}
			fmt.Fprintf(a.out, "retried %s as %s\n", engine.RootOf(args[0]), id)
			if s.own {
				fmt.Fprintln(a.out, "no executor is running in this store: the execution starts once one runs")
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&input, "input", "", "another input: JSON, @FILE or - for standard input")
	cmd.Flags().StringVar(&name, "id", "", "id of the new execution: if you repeat the command with the same id, it enqueues nothing more")
	return cmd
}
