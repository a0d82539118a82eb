package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
	"github.com/spf13/cobra"

	"github.com/durable-execution/durable/engine"
)

func (a *app) list() *cobra.Command {
	var status, task string
	var limit int
	var roots, aside, watch bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List executions, the latest trees first",
		Long: "List executions, the latest trees first, and in a tree the root first.\n" +
			"With --json it prints {\"executions\": [...]}, without inputs and outputs, and\n" +
			"\"isCut\": true where --limit has left some out; with --jsonl a line each. With\n" +
			"--set-aside it lists messages that nobody could act upon, and records that can't be\n" +
			"read. With --watch it shows at a terminal the newest first, and what becomes of\n" +
			"them, until q is typed; elsewhere a line for each and then, as durable watch does,\n" +
			"for each change, until interrupted.",
		Args: exactly(0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			f := engine.Filter{Status: engine.Status(status), Task: task}
			if status != "" && !f.Status.Valid() {
				return usage("the statuses are "+statusNames(), "--status %q is none", status)
			}
			if task != "" {
				if err := engine.ValidateTask(task); err != nil {
					return usage("", "--task: %w", err)
				}
			}
			if limit < 0 {
				return usage("0 lists all", "--limit %d: negative", limit)
			}
			if aside && (status != "" || task != "" || roots || watch) {
				return usage("", "--set-aside lists no executions: it goes with --limit only")
			}
			s, err := a.open(cmd)
			if err != nil {
				return err
			}
			defer s.close()
			if aside {
				return a.listAside(cmd.Context(), s, limit)
			}
			if watch {
				return a.watchList(cmd.Context(), s, func() ([]engine.Execution, error) {
					found, err := matching(cmd.Context(), s, f, roots)
					slices.SortFunc(found, newestFirst)
					return found[:min(len(found), cmp.Or(limit, mostListed), mostListed)], err
				}, func(x engine.Execution) bool { return f.Matches(x) && (x.Parent == "" || !roots) })
			}
			found, err := matching(cmd.Context(), s, f, roots)
			if err != nil {
				return err
			}
			shown := found
			if limit > 0 {
				shown = found[:min(limit, len(found))]
			}
			if a.json {
				return a.printForPrograms(shown, len(found))
			}
			a.printList(shown, len(found), time.Now())
			return nil
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&status, "status", "", "only executions in this status")
	flags.StringVar(&task, "task", "", "only executions of this task")
	flags.IntVar(&limit, "limit", 100, "at most so many; 0 lists all")
	flags.BoolVar(&roots, "roots", false, "only executions that no other spawned")
	flags.BoolVar(&watch, "watch", false, "show what becomes of them")
	flags.BoolVar(&aside, "set-aside", false, "what can't be read: messages that were set aside, and records")
	must(cmd.RegisterFlagCompletionFunc("status", cobra.FixedCompletions(strings.Split(statusNames(), ", "), cobra.ShellCompDirectiveNoFileComp)))
	return cmd
}

func statusNames() string {
	var names []string
	for _, s := range engine.Statuses() {
		names = append(names, string(s))
	}
	return strings.Join(names, ", ")
}

// matching returns what f selects, in the order of the list. Payloads are left
// out, so that a long list takes little memory.
func matching(ctx context.Context, s engine.Store, f engine.Filter, rootsOnly bool) ([]engine.Execution, error) {
	var found []engine.Execution
	born := map[string]time.Time{} // by root: when the tree's first known execution was created
	for x, err := range engine.NewClient(s).List(ctx, f) {
		if err != nil {
			return nil, fmt.Errorf("list executions: %w", err)
		}
		if rootsOnly && x.Parent != "" {
			continue
		}
		x = bare(x)
		if at, ok := born[x.Root()]; !ok || x.CreatedAt.Before(at) {
			born[x.Root()] = x.CreatedAt
		}
		found = append(found, x)
	}
	slices.SortFunc(found, func(x, y engine.Execution) int {
		if x.Root() != y.Root() {
			if c := born[y.Root()].Compare(born[x.Root()]); c != 0 {
				return c
			}
			return strings.Compare(x.Root(), y.Root())
		}
		return compareBelow(x.ID, y.ID)
	})
	return found, nil
}

// bare is an execution without what takes memory and is in no list.
func bare(x engine.Execution) engine.Execution {
	x.Input, x.Output, x.Spawns, x.History = engine.Execution{}.Input, engine.Execution{}.Output, nil, nil
	return x
}

// compareBelow orders the ids of a tree: the root, then by position, 2 before 10
// and the finalize last.
func compareBelow(x, y string) int {
	if len(x) != len(y) && strings.LastIndexAny(x, ".-") == strings.LastIndexAny(y, ".-") {
		return len(x) - len(y)
	}
	return strings.Compare(x, y)
}

// An executionsView is a list as --json prints it.
type executionsView struct {
	Executions []*view `json:"executions"`
	// Cut says that --limit has left some out.
	Cut bool `json:"isCut,omitempty"`
}

// printForPrograms prints those that are shown, of so many that were found.
func (a *app) printForPrograms(list []engine.Execution, found int) error {
	v := executionsView{Executions: make([]*view, len(list)), Cut: len(list) < found}
	for i, x := range list {
		v.Executions[i] = viewOf(x)
	}
	return printAll(a, v.Executions, v)
}

func (a *app) printList(list []engine.Execution, found int, now time.Time) {
	if found == 0 {
		fmt.Fprintf(a.out, "no executions; %s\n", a.place.named())
		return
	}
	a.printRows(list, now)
	if found > len(list) {
		fmt.Fprintf(a.out, "%s of %s; --limit 0 lists all\n", grouped(len(list)), count(found, "execution", "executions"))
		return
	}
	fmt.Fprintln(a.out, count(found, "execution", "executions"))
}

func (a *app) printRows(list []engine.Execution, now time.Time) {
	t := plainTable()
	t.AppendHeader(table.Row{"EXECUTION", "TASK", "STATUS", "CREATED"})
	for _, x := range list {
		t.AppendRow(table.Row{x.ID, x.Task, a.out.paint(statusColour(x.Status), string(x.Status)), a.moment(x.CreatedAt, now)})
	}
	fmt.Fprintln(a.out, t.Render())
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
