package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/durable-execution/durable/engine"
)

func (a *app) delete() *cobra.Command {
	var l loss
	return l.flags(&cobra.Command{
		Use:        "delete ID...",
		SuggestFor: []string{"rm", "remove"},
		Short:      "Delete finished trees before their retention is over",
		Long: "Delete finished executions and everything below them before their retention is\n" +
			"over. Each ID must be the id of a root. The command leaves an active execution\n" +
			"alone, deletes the others, and exits with 1; durable cancel ends an active one.\n" +
			"An id that was deleted may be enqueued again, and then runs again. The command\n" +
			"asks before it deletes; --yes skips the question, and is required where there is\n" +
			"no terminal. The store keeps nothing about a deleted execution: the command only\n" +
			"prints --reason, for your own log.",
		Args: rootIDs,
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			if err := a.mustBeSure(cmd, l.yes); err != nil {
				return err
			}
			s, err := a.open(cmd)
			if err != nil {
				return err
			}
			defer s.close()
			what := args[0] + " and everything below it?"
			if len(args) > 1 {
				what = grouped(len(args)) + " executions and everything below them?"
			}
			if err := a.confirm(ctx, l.yes, "delete "+what); err != nil {
				return err
			}
			client, failed := engine.NewClient(s), 0
			for _, id := range args {
				if err := client.Delete(ctx, id); err != nil {
					if code := a.report(ctx, err); failed == 0 {
						failed = code
					}
					if ctx.Err() != nil {
						break
					}
					continue
				}
				if a.json {
					if err := printJSON(a.out, struct {
						ID      string `json:"executionId"`
						Deleted bool   `json:"deleted"`
						Reason  string `json:"reason,omitempty"`
					}{id, true, l.reason}); err != nil {
						return err
					}
					continue
				}
				fmt.Fprintf(a.out, "deleted %s%s\n", id, l.because())
			}
			if failed != 0 {
				return &exitError{failed, nil, ""} // each failure has been printed
			}
			return nil
		},
	}, "", onlySaid)
}

// rootIDs checks that there is at least one argument, and that each is the id of a root.
func rootIDs(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return usage("usage: "+cmd.UseLine(), "%s takes one or more execution ids", cmd.Name())
	}
	for _, id := range args {
		if err := executionID(cmd, []string{id}); err != nil {
			return err
		}
		if root := engine.RootOf(id); root != id {
			return usage("delete the whole tree, by the id of its root", "%s is not a root: it is below %s", id, root)
		}
	}
	return nil
}
