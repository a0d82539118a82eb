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
		Short:      "Remove finished executions with all below them before their time",
		Long: "Remove finished executions with all below them, before their retention is over.\n" +
			"Each ID is that of a root. One that is active is left alone, and the exit code is\n" +
			"then 1: durable cancel ends it. The others are removed all the same. An id that\n" +
			"was deleted may be used again, and runs again. It asks before,\n" +
			"unless --yes is given; away from a terminal it wants that. The\n" +
			"store keeps nothing of what was deleted, so that --reason goes to the output, for\n" +
			"the log that this goes to.",
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
			what := args[0] + " with all below it?"
			if len(args) > 1 {
				what = grouped(len(args)) + " executions with all below them?"
			}
			if err := a.confirm(ctx, l.yes, "remove "+what); err != nil {
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
				return &exitError{failed, nil, ""} // each was told of
			}
			return nil
		},
	}, "", onlySaid)
}

// rootIDs is one valid execution id at least, and none but those of roots.
func rootIDs(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return usage("usage: "+cmd.UseLine(), "%s takes an execution id, or several", cmd.Name())
	}
	for _, id := range args {
		if err := executionID(cmd, []string{id}); err != nil {
			return err
		}
		if root := engine.RootOf(id); root != id {
			return usage("a tree is deleted as a whole, by the id of its root", "%s is below %s", id, root)
		}
	}
	return nil
}
