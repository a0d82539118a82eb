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
		Short: "Run a tree that did not complete again, as a new one",
		Long: "Run the tree that ID belongs to again: enqueue its root as a new execution, with\n" +
			"the same input or with that of --input. The old tree stays as it is; get shows\n" +
			"the link between the two. Exit code 1 means that the old root has not finished,\n" +
			"or that it completed.",
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
	cmd.Flags().StringVar(&name, "id", "", "the new one's id: with it, the same retry again is the same execution")
	return cmd
}
