package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
	"github.com/spf13/cobra"

	"github.com/durable-execution/durable/engine"
)

func (a *app) list() *cobra.Command {
	var q query
	var aside bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List executions, the newest first",
		Long: "List executions, the newest first, those that are queued or delayed included.\n" +
			"With --json it prints a line each, without inputs and outputs. With --set-aside it\n" +
			"lists messages that nobody could act upon, and records that can't be read.\n\n" +
			"A large store is searched by an index, a file that the first list builds and the\n" +
			"next ones bring up to date; it may be removed at any time.",
		Args: exactly(0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			now := time.Now()
			if err := q.parse(now); err != nil {
				return err
			}
			if aside && selects(cmd) {
				return usage("", "--set-aside lists no executions: it goes with --limit only")
			}
			s, err := a.open(cmd)
			if err != nil {
				return err
			}
			defer s.close()
			if aside {
				return a.listAside(cmd.Context(), s, q.limit)
			}
			if a.json {
				_, err = a.search(cmd.Context(), s, q, a.printLines)
				return err
			}
			var list []engine.Execution
			f, err := a.search(cmd.Context(), s, q, func(more []engine.Execution) error {
				list = append(list, more...)
				return nil
			})
			if err == nil {
				a.printList(list, f, now)
			}
			return err
		},
	}
	q.flags(cmd)
	cmd.Flags().BoolVar(&aside, "set-aside", false, "what can't be read: messages that were set aside, and records")
	return cmd
}

// compareBelow orders the ids of a tree: the root, then by position, 2 before 10
// and the finalize last.
func compareBelow(x, y string) int {
	if len(x) != len(y) && strings.LastIndexAny(x, ".-") == strings.LastIndexAny(y, ".-") {
		return len(x) - len(y)
	}
	return strings.Compare(x, y)
}

func (a *app) printLines(list []engine.Execution) error {
	for _, x := range list {
		if err := printJSON(a.out, viewOf(x)); err != nil {
			return err
		}
	}
	return nil
}

func (a *app) printList(list []engine.Execution, f found, now time.Time) {
	if len(list) == 0 {
		if f.total > 0 {
			fmt.Fprintln(a.out, "no more executions")
			return
		}
		what := "no executions"
		if f.narrowed {
			what = "no such executions"
		}
		fmt.Fprintf(a.out, "%s; %s\n", what, a.place.named())
		return
	}
	t := plainTable()
	t.AppendHeader(table.Row{"EXECUTION", "TASK", "STATUS", "CREATED"})
	for _, x := range list {
		t.AppendRow(table.Row{x.ID, x.Task, a.out.paint(statusColour(x.Status), string(x.Status)), ago(x.CreatedAt, now)})
	}
	fmt.Fprintln(a.out, t.Render())
	executions := count(f.total, "execution", "executions")
	switch {
	case f.next.ID == "" && f.total <= len(list):
		fmt.Fprintln(a.out, count(len(list), "execution", "executions"))
	case f.next.ID == "":
		fmt.Fprintf(a.out, "the last %s of %s\n", grouped(len(list)), executions)
	case f.total < 0:
		fmt.Fprintf(a.out, "%s, and more; --after %s lists the next, --limit 0 all\n", count(len(list), "execution", "executions"), f.next)
	default:
		fmt.Fprintf(a.out, "%s of %s; --after %s lists the next, --limit 0 all\n", grouped(len(list)), executions, f.next)
	}
}

// plainTable is a table of columns and nothing else.
func plainTable() table.Writer {
	t := table.NewWriter()
	t.SuppressTrailingSpaces()
	s := table.StyleDefault
	s.Options = table.OptionsNoBordersAndSeparators
	s.Box.PaddingLeft, s.Box.PaddingRight = "", "  "
	s.Format.Header = text.FormatDefault
	t.SetStyle(s)
	return t
}

// must is for errors that only a programmer can cause.
func must(err error) {
	if err != nil {
		panic(err)
	}
}
