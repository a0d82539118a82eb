package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
)

// printTop prints a frame of so many lines at most; 0 is as many as there are.
func (a *app) printTop(v topView, height int) {
	if v.failure != nil {
		fmt.Fprintln(a.out, snip(a.out.paint(red, "as it was before: "+told(v.failure)), a.out.width()))
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
		fmt.Fprintln(a.out, "\nnothing has run for longer than a moment")
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

// executorRows are the rows of the executors: those that do not answer first, since
// somebody may have to look at them.
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
			state, colour = "does not answer since "+coarse(silent), yellow
		}
		rows = append(rows, table.Row{
			oneLine(p.Executor), load(p.Running, p.Slots), grouped(p.Running) + " of " + grouped(p.Slots), grouped(p.InHand),
			oneLine(weights(p.Queues)), a.out.paint(colour, oneLine(state)),
		})
	}
	return rows
}

// printPart prints a table, and how many rows it lacks.
func (a *app) printPart(t *grid, more int) {
	if more > 0 {
		t.AppendRow(table.Row{a.out.paint(faint, "and "+grouped(more)+" more")})
	}
	fmt.Fprintf(a.out, "\n%s\n", a.fitting(t))
}

// share divides so many lines among three tables of so many rows, each of which takes
// an empty line, a head and perhaps a line that says how many rows it lacks. With 0
// lines each has its rows.
func share(lines, executors, queues, slowest int) (int, int, int) {
	if lines <= 0 {
		return executors, queues, slowest
	}
	rows := lines - 3*3
	e := min(executors, max(rows/3, 1))
	q := min(queues, max((rows-e)/2, 1))
	return e, q, min(slowest, max(rows-e-q, 1))
}

// load draws how much of something is in use.
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

// holder is the executor of an execution that runs.
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
