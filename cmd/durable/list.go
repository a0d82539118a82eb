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
		Long: "List the roots of trees, the newest first, those that are queued or delayed included;\n" +
			"with --all what is below them too, as with --task, --parent and --tree. A filter takes several\n" +
			"statuses: --status failed,timed_out, or --status twice, or --failed, --active and\n" +
			"--finished, which stand for several. Where there is no room for a column it is left\n" +
			"out, unless --columns names it.\n\n" +
			"With --json it prints {\"executions\": [...]}, without inputs and outputs, and\n" +
			"\"isCut\": true where --limit has left some out; with --jsonl a line each. With\n" +
			"--set-aside it lists messages that nobody could act upon, and records that can't be\n" +
			"read. With --watch it shows at a terminal the newest that fit, and what becomes of\n" +
			"them, until q is typed; elsewhere a line for each and then, as durable watch does,\n" +
			"for each change, until interrupted.\n\n" +
			"A large store is searched by an index, a file that the first list builds and the\n" +
			"next ones bring up to date; it may be removed at any time.",
		Args: exactly(0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			now := time.Now()
			if err := q.parse(now); err != nil {
				return err
			}
			switch {
			case aside && (selects(cmd) || watch):
				return usage("", "--set-aside lists no executions: it goes with --limit only")
			case aside && cmd.Flag("columns").Changed:
				return usage("", "--columns are of executions, and --set-aside lists none")
			case a.json && cmd.Flag("columns").Changed:
				return usage("", "--columns are for people: JSON has all that lists know")
			case watch && q.after != "":
				return usage("", "--watch shows the newest, and --after lists what is behind: give one")
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
			if a.jsonl { // which need not all be there before the first is printed
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
	cmd.Flags().BoolVar(&watch, "watch", false, "show what becomes of them")
	cmd.Flags().BoolVar(&aside, "set-aside", false, "what can't be read: messages that were set aside, and records")
	return cmd
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

// printForPrograms prints those that are shown, which may be cut by --limit.
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
			a.note("these are the roots of trees; --all looks below them, too")
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
