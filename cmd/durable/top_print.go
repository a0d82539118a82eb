package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
)

// printTop prints the view in at most height lines; 0 means no limit.
func (a *app) printTop(v topView, height int) {
	if v.failure != nil {
		fmt.Fprintln(a.out, snip(a.out.paint(red, "out of date: "+told(v.failure)), a.out.width()))
		height--
	}
	fmt.Fprintf(a.out, "%s of %s in use; %s executions/s finish, %s/s do not complete\n",
		grouped(v.Running), count(v.Slots, "slot", "slots"), rate(v.Finished), rate(v.Incomplete))
	rows := a.executorRows(v)
	executors, queues, slowest := share(height-1, len(rows), len(v.Queues.Queues), len(v.Slowest))
	switch {
	case len(rows) == 0 && !v.filtered:
		fmt.Fprintln(a.out, "\nno executor answers")
	case len(rows) > 0:
		t := plainTable()
		t.AppendHeader(table.Row{"EXECUTOR", "LOAD", "RUNNING", "IN HAND", "QUEUES", "STATE"})
		for _, row := range rows[:executors] {
			t.AppendRow(row)
		}
		a.printPart(t, len(rows)-executors)
	}
	switch {
	case len(v.Queues.Queues) == 0 && !v.filtered:
		fmt.Fprintln(a.out, "\nno queues")
	case len(v.Queues.Queues) > 0:
		a.printPart(a.queueTable(v.Queues.Queues[:queues], v.now), len(v.Queues.Queues)-queues)
	}
	switch {
	case len(v.Slowest) == 0 && v.filtered:
		return
	case len(v.Slowest) == 0:
		fmt.Fprintln(a.out, "\nno execution has been running for long")
		return
	}
	t := plainTable()
	t.whole[0] = true
	t.AppendHeader(table.Row{"SLOWEST", "TASK", "RUNS FOR", "RETRY", "EXECUTOR"})
	for _, x := range v.Slowest[:slowest] {
		t.AppendRow(table.Row{x.ID, x.Task, span(max(v.now.Sub(time.UnixMilli(x.StartedAt)), 0)), retries(x.Attempt), a.holder(x)})
	}
	a.printPart(t, 0)
}

// executorRows returns the rows of the executors. Lost executors come first, because a person
// may have to act.
func (a *app) executorRows(v topView) []table.Row {
	var rows []table.Row
	lost := map[string]bool{}
	for _, e := range v.lost.All() {
		lost[e.Executor] = true
		rows = append(rows, table.Row{oneLine(e.Executor), load(0, 0), grouped(e.Running), "", oneLine(queueNames(e)), a.out.paint(red, a.silence(e, v.now))})
	}
	for _, p := range v.present {
		if lost[p.Executor] {
			continue
		}
		state, colour := executorState(p.Presence)
		if silent := v.now.Sub(p.CalledAt); silent > silentAfter {
			state, colour = "no answer for "+coarse(silent), yellow
		}
		rows = append(rows, table.Row{
			oneLine(p.Executor), load(p.Running, p.Slots), grouped(p.Running) + " of " + grouped(p.Slots), grouped(p.InHand),
			oneLine(weights(p.Queues)), a.out.paint(colour, oneLine(state)),
		})
	}
	return rows
}

// printPart prints a table, and how many more rows there are.
func (a *app) printPart(t *grid, more int) {
	if more > 0 {
		t.AppendRow(table.Row{a.out.paint(faint, "and "+grouped(more)+" more")})
	}
	fmt.Fprintf(a.out, "\n%s\n", a.fitting(t))
}

// share divides lines among three tables with these numbers of rows, and returns how many rows
// of each to show. Each table also takes an empty line, a header, and perhaps a line that says
// how many more rows there are. With 0 lines, all rows are shown.
func share(lines, executors, queues, slowest int) (int, int, int) {
	if lines <= 0 {
		return executors, queues, slowest
	}
	rows := lines - 3*3
	e := min(executors, max(rows/3, 1))
	q := min(queues, max((rows-e)/2, 1))
	return e, q, min(slowest, max(rows-e-q, 1))
}

// load draws a bar that shows how many of the slots are in use.
func load(running, slots int) string {
	const wide = 10
	n := 0
	if slots > 0 {
		n = min((running*wide+slots-1)/slots, wide)
	}
	return strings.Repeat("█", n) + strings.Repeat("░", wide-n)
}

func rate(perSecond float64) string {
	if perSecond > 0 && perSecond < 10 {
		return strings.TrimSuffix(fmt.Sprintf("%.1f", perSecond), ".0")
	}
	return grouped(int(perSecond + 0.5))
}

// holder returns the executor of a running execution, and whether it is lost.
func (a *app) holder(x *view) string {
	if x.Lost != nil {
		return oneLine(x.Executor) + a.out.paint(red, ", lost")
	}
	return oneLine(x.Executor)
}

func retries(attempt int) string {
	if attempt == 0 {
		return ""
	}
	return grouped(attempt)
}
