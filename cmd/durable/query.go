package main

import (
	"errors"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/durable-execution/durable/engine"
)

// A query holds the flags that select and show executions in list.
type query struct {
	task, queue          string
	statuses             []string
	parent, tree, prefix string
	failure              string
	meta                 []string
	since, until, by     string
	roots, all           bool

	failed, active, finished bool

	names      []string // of columns
	limit      int
	after, via string

	filter  engine.Filter
	cursor  engine.Cursor
	columns []column // nil means the default columns
}

func (q *query) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringSliceVar(&q.statuses, "status", nil, "only executions with one of these `statuses`: separate several with commas, or repeat the flag")
	f.BoolVar(&q.failed, "failed", false, "only executions that finished without completing, except cancelled ones")
	f.BoolVar(&q.active, "active", false, "only executions that have not finished")
	f.BoolVar(&q.finished, "finished", false, "only executions that have finished, including cancelled ones")
	f.StringVar(&q.task, "task", "", "only executions of this task")
	f.StringVar(&q.queue, "queue", "", "only executions of this queue")
	f.StringVar(&q.parent, "parent", "", "only the children of this execution, including its finalize")
	f.StringVar(&q.tree, "tree", "", "only executions in the same tree as this one")
	f.StringVar(&q.prefix, "prefix", "", "only executions whose id begins with this")
	f.StringVar(&q.failure, "error", "", "only executions whose error contains this text, ignoring case")
	f.StringArrayVar(&q.meta, "meta", nil, "only executions with this metadata `KEY=VALUE`; may be repeated")
	f.StringVar(&q.since, "since", "", "only from this `time` on: 2026-11-25, 2026-11-25T10:30, a time as in enqueue --at, or a duration before now such as 15m, 2h, 7d")
	f.StringVar(&q.until, "until", "", "only before this `time`")
	f.StringVar(&q.by, "time", "created", "which time --since and --until compare: created, started (of the latest attempt), finished")
	f.BoolVar(&q.all, "all", false, "list children too, not only the roots of trees")
	f.BoolVar(&q.roots, "roots", false, "only roots, even with --parent, --tree or --task")
	f.StringSliceVar(&q.names, "columns", nil, "`columns` to show, separated by commas: "+strings.Join(columnNames(), ", "))
	f.IntVar(&q.limit, "limit", 100, "how many executions to list at most; 0 lists all")
	f.StringVar(&q.after, "after", "", "continue after this `cursor`: createdAt:executionId of the last execution listed")
	f.StringVar(&q.via, "via", viaAuto, "where to search: index, scan (read the whole store), auto (the index if it exists or the store is large)")
	fixed := func(values ...string) cobra.CompletionFunc {
		return cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp)
	}
	must(cmd.RegisterFlagCompletionFunc("status", fixed(strings.Split(statusNames(), ", ")...)))
	must(cmd.RegisterFlagCompletionFunc("columns", fixed(columnNames()...)))
	must(cmd.RegisterFlagCompletionFunc("time", fixed("created", "started", "finished")))
	must(cmd.RegisterFlagCompletionFunc("via", fixed(viaAuto, viaIndex, viaScan)))
}

// selects reports whether a flag was given that selects executions.
func selects(cmd *cobra.Command) bool {
	return slices.ContainsFunc([]string{
		"status", "failed", "active", "finished", "all", "task", "queue", "parent", "tree", "prefix", "error", "meta", "since", "until", "time", "roots", "after", "via",
	}, func(name string) bool { return cmd.Flag(name).Changed })
}

// parse checks the flags and makes a filter and a cursor of them.
func (q *query) parse(now time.Time) error {
	f := engine.Filter{Task: q.task, Queue: q.queue, Parent: q.parent, Prefix: q.prefix, Error: q.failure}
	var err error
	if f.Statuses, err = q.wantedStatuses(); err != nil {
		return err
	}
	if q.columns, err = parseColumns(q.names); err != nil {
		return err
	}
	if q.roots && q.all {
		return usage("", "--roots and --all contradict each other: give one")
	}
	// With one of these flags, list children too: the user may mean executions that are not
	// roots.
	below := q.task != "" || q.parent != "" || q.tree != "" || strings.Contains(q.prefix, ".")
	f.Roots = q.roots || !q.all && !below
	for _, one := range []struct {
		flag, value string
		check       func(string) error // nil for an execution id
	}{
		{"task", q.task, engine.ValidateTask}, {"queue", q.queue, engine.ValidateQueue},
		{"parent", q.parent, nil}, {"tree", q.tree, nil},
	} {
		if one.value == "" {
			continue
		}
		if one.check == nil {
			if err := checkID("--"+one.flag, one.value); err != nil {
				return err
			}
			continue
		}
		if err := one.check(one.value); err != nil {
			return usage("", "--%s: %w", one.flag, err)
		}
	}
	f.Tree = engine.RootOf(q.tree)
	if q.limit < 0 {
		return usage("0 lists all", "--limit %d: negative", q.limit)
	}
	if f.Metadata, err = parsePairs(q.meta); err != nil {
		return err
	}
	span := map[string]*engine.Span{"created": &f.Created, "started": &f.Started, "finished": &f.Finished}[q.by]
	if span == nil {
		return unknown("--time", q.by, []string{"created", "started", "finished"})
	}
	for _, one := range []struct {
		flag, value string
		at          *time.Time
	}{{"since", q.since, &span.From}, {"until", q.until, &span.Until}} {
		if *one.at, err = parsePast(one.value, now); err != nil {
			hint := ""
			if errors.Is(err, errTime) {
				hint = "or a duration before now: 15m, 2h, 7d"
			}
			return usage(hint, "--%s %q: %w", one.flag, one.value, err)
		}
	}
	if q.cursor, err = engine.ParseCursor(q.after); err != nil {
		return usage("use createdAt:executionId of the last execution listed", "--after: %w", err)
	}
	if q.via != viaAuto && q.via != viaIndex && q.via != viaScan {
		return unknown("--via", q.via, []string{viaAuto, viaIndex, viaScan})
	}
	q.filter = f
	return nil
}

// wantedStatuses returns the statuses that the flags select; an empty list selects all.
func (q *query) wantedStatuses() ([]engine.Status, error) {
	var list []engine.Status
	for _, name := range q.statuses {
		s := engine.Status(strings.TrimSpace(name))
		if !s.Valid() {
			return nil, unknown("--status", name, strings.Split(statusNames(), ", "))
		}
		list = append(list, s)
	}
	for _, s := range engine.Statuses() {
		fails := s.Finished() && s != engine.Completed && s != engine.Cancelled
		if q.active && s.Active() || q.finished && s.Finished() || q.failed && fails {
			list = append(list, s)
		}
	}
	slices.Sort(list)
	return slices.Compact(list), nil
}

// narrows reports whether the query selects fewer executions than all roots, or than all
// executions if it asks for children too.
func (q *query) narrows() bool {
	f := q.filter
	f.Roots = q.roots
	return !reflect.DeepEqual(f, engine.Filter{})
}

// parsePairs parses the KEY=VALUE pairs of --meta.
func parsePairs(list []string) (engine.Metadata, error) {
	var m engine.Metadata
	for _, pair := range list {
		key, value, ok := strings.Cut(pair, "=")
		if !ok {
			return nil, usage("for example --meta order=42", "--meta %q: want KEY=VALUE", pair)
		}
		if was, twice := m[key]; twice && was != value {
			return nil, usage("a key has one value", "--meta %s=%s contradicts --meta %s=%s", key, value, key, was)
		}
		if m == nil {
			m = engine.Metadata{}
		}
		m[key] = value
	}
	if err := m.Validate(); err != nil {
		return nil, usage("", "--meta: %w", err)
	}
	return m, nil
}

// parsePast parses a duration before now, or a time as [parseTime] does. An empty text is
// the zero time.
func parsePast(text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if d, err := parseDuration(text); err == nil && d >= 0 {
		return now.Add(-d), nil
	}
	return parseTime(text)
}

func statusNames() string {
	var names []string
	for _, s := range engine.Statuses() {
		names = append(names, string(s))
	}
	return strings.Join(names, ", ")
}
