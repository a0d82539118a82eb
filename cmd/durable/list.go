package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/durable-execution/durable/engine"
)

func (a *app) list() *cobra.Command {
	var q query
	var aside, watch bool
	cmd := &cobra.Command{
		Use:        "list",
		SuggestFor: []string{"ls", "ps"},
		Short:      "List executions, the newest first",
		Long: "List the roots of trees, the newest first, including queued and delayed ones. --all,\n" +
			"--task, --parent and --tree list the executions below the roots too. You may select\n" +
			"several statuses: separate them with commas (--status failed,timed_out), repeat\n" +
			"--status, or use --failed, --active and --finished, which each stand for several. On\n" +
			"a narrow terminal the command leaves out columns, unless --columns names them.\n\n" +
			"--json prints {\"executions\": [...]} without inputs and outputs, and \"isCut\": true if\n" +
			"--limit has left executions out; --jsonl prints one execution per line. --set-aside\n" +
			"lists messages that no executor could process, and unreadable records.\n\n" +
			"With --watch on a terminal, the command shows the newest executions that fit and\n" +
			"keeps them up to date until you type q. Without a terminal it prints one line for\n" +
			"each execution and then, as durable watch does, one line for each change, until\n" +
			"interrupted.\n\n" +
			"In a large store the command searches an index: a file that the first list builds and\n" +
			"later ones bring up to date. You may remove the file at any time.",
		Args: exactly(0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			now := time.Now()
			if err := q.parse(now); err != nil {
				return err
			}
			switch {
			case aside && (selects(cmd) || watch):
				return usage("", "--set-aside lists no executions: you can combine it with --limit only")
			case aside && cmd.Flag("columns").Changed:
				return usage("", "--columns selects columns of executions, but --set-aside lists none")
			case a.json && cmd.Flag("columns").Changed:
				return usage("", "--columns selects columns of the table, but JSON always has all fields")
			case watch && q.after != "":
				return usage("", "--watch shows the newest executions, but --after skips them: give one")
			}
			s, err := a.open(cmd)
			if err != nil {
				return err
			}
			defer s.close()
			if aside {
				return a.listAside(cmd.Context(), s, q.limit)
			}
			if watch {
				return a.watchList(cmd.Context(), s, q)
			}
			var list []engine.Execution
			show := func(more []engine.Execution) error {
				list = append(list, more...)
				return nil
			}
			if a.jsonl { // print the first executions before the last ones have been found
				show = func(more []engine.Execution) error {
					return a.printForPrograms(more, false, s.lost(cmd.Context(), more))
				}
			}
			f, err := a.search(cmd.Context(), s, q, show)
			switch {
			case err != nil || a.jsonl:
				return err
			case a.json:
				return a.printForPrograms(list, f.next.ID != "", s.lost(cmd.Context(), list))
			}
			a.printList(list, q, f, now, s.lost(cmd.Context(), list))
			return nil
		},
	}
	q.flags(cmd)
	cmd.Flags().BoolVar(&watch, "watch", false, "keep the list up to date until interrupted")
	cmd.Flags().BoolVar(&aside, "set-aside", false, "list set-aside messages and unreadable records, not executions")
	return cmd
}

// bare returns an execution without its payloads and history: they take memory, and no list
// shows them.
func bare(x engine.Execution) engine.Execution {
	x.Input, x.Output, x.Spawns, x.History = engine.Execution{}.Input, engine.Execution{}.Output, nil, nil
	return x
}

// compareBelow orders the ids of a tree: the root first, then the children by their numbers
// (2 before 10), and the finalize last.
func compareBelow(x, y string) int {
	if len(x) != len(y) && strings.LastIndexAny(x, ".-") == strings.LastIndexAny(y, ".-") {
		return len(x) - len(y)
	}
	return strings.Compare(x, y)
}

// An executionsView is a list as --json prints it.
type executionsView struct {
	Executions []*view `json:"executions"`
	// Cut means that --limit left some executions out.
	Cut bool `json:"isCut,omitempty"`
}

// printForPrograms prints a list as JSON; cut says that --limit left executions out.
func (a *app) printForPrograms(list []engine.Execution, cut bool, lost engine.LostExecutors) error {
	v := executionsView{Executions: make([]*view, len(list)), Cut: cut}
	for i, x := range list {
		v.Executions[i] = viewOf(x, lost)
	}
	return printAll(a, v.Executions, v)
}

func (a *app) printList(list []engine.Execution, q query, f found, now time.Time, lost engine.LostExecutors) {
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
		if f.narrowed && q.filter.Roots && !q.roots {
			a.note("only the roots of trees were searched; --all includes the executions below them")
		}
		return
	}
	fmt.Fprintln(a.out, a.fitting(a.executionsTable(list, q.columns, now, lost)))
	defer a.printLost(lost, now)
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
