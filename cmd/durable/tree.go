package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/list"
	"github.com/jedib0t/go-pretty/v6/text"
	"github.com/spf13/cobra"

	"github.com/durable-execution/durable/engine"
)

func (a *app) tree() *cobra.Command {
	var watch bool
	cmd := &cobra.Command{
		Use:   "tree ID",
		Short: "Show an execution and everything below it, as a tree",
		Long: "Show an execution and everything below it, with times and attempts. --json prints the\n" +
			"same document as durable get, with \"children\" of the same form. --jsonl prints one\n" +
			"execution per line, parents before their children.\n\n" +
			"With --watch on a terminal, the command keeps the tree up to date until ID has\n" +
			"finished or you type q. It folds a finished subtree into one line. Once ID has\n" +
			"finished, it prints the tree; without a terminal it prints nothing before.",
		Args: executionID,
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			s, err := a.open(cmd)
			if err != nil {
				return err
			}
			defer s.close()
			var n *node
			if watch {
				n, err = a.watchTree(ctx, s, args[0])
			} else {
				if n, err = grow(ctx, s, args[0]); err == nil {
					n.lose(s.lost(ctx, n.all(nil)))
				}
			}
			if n == nil || err != nil {
				return about("tree of "+args[0], a.missing(ctx, s, args[0], err))
			}
			if a.json {
				v, err := n.view(ctx, s)
				if err != nil {
					return err
				}
				return printAll(a, v.flat(nil), v)
			}
			a.printTree(n, time.Now(), 0)
			return nil
		},
	}
	cmd.Flags().BoolVar(&watch, "watch", false, "keep the tree up to date until ID has finished")
	return cmd
}

// about adds to an error what was attempted, unless the error is complete.
func about(what string, err error) error {
	if exit := (*exitError)(nil); err == nil || errors.As(err, &exit) {
		return err
	}
	return fmt.Errorf("%s: %w", what, err)
}

// A node is an execution with the executions below it.
type node struct {
	engine.Execution
	below []*node
	lost  engine.LostExecutors // empty if the command has not checked for lost executors
}

// grow reads the tree below id. It returns ErrNotFound if there is no such execution.
func grow(ctx context.Context, s engine.Store, id string) (*node, error) {
	all, err := readTree(ctx, s, id)
	if err != nil {
		return nil, err
	}
	if n := grown(all, id); n != nil {
		return n, nil
	}
	return nil, engine.ErrNotFound
}

// readTree reads all executions of the tree that contains id.
func readTree(ctx context.Context, s engine.Store, id string) (map[string]engine.Execution, error) {
	all := map[string]engine.Execution{}
	for r, err := range s.List(ctx, engine.Filter{Tree: engine.RootOf(id)}) {
		if err != nil {
			return nil, err
		}
		all[r.ID] = r.Execution
	}
	return all, nil
}

// grown builds the tree below id from executions; nil if id is not among them.
func grown(all map[string]engine.Execution, id string) *node {
	nodes := make(map[string]*node, len(all))
	for id, x := range all {
		nodes[id] = &node{Execution: x}
	}
	for _, n := range nodes {
		if parent := nodes[n.Parent]; parent != nil {
			parent.below = append(parent.below, n)
		}
	}
	for _, n := range nodes {
		slices.SortFunc(n.below, func(x, y *node) int { return compareBelow(x.ID, y.ID) })
	}
	return nodes[id]
}

func (n *node) size() int {
	size := 1
	for _, b := range n.below {
		size += b.size()
	}
	return size
}

// settled reports whether an execution and everything below it have finished.
func (n *node) settled() bool {
	return n.Status.Finished() && !slices.ContainsFunc(n.below, func(b *node) bool { return !b.settled() })
}

// all appends the executions of a tree to the list.
func (n *node) all(list []engine.Execution) []engine.Execution {
	list = append(list, n.Execution)
	for _, b := range n.below {
		list = b.all(list)
	}
	return list
}

// lose sets the lost executors of all nodes.
func (n *node) lose(lost engine.LostExecutors) {
	n.lost = lost
	for _, b := range n.below {
		b.lose(lost)
	}
}

func (n *node) view(ctx context.Context, s engine.Store) (*view, error) {
	v, err := fullViewOf(ctx, s, n.Execution)
	if err != nil {
		return nil, err
	}
	v.Lose(n.Execution, n.lost)
	for _, b := range n.below {
		c, err := b.view(ctx, s)
		if err != nil {
			return nil, err
		}
		v.Children = append(v.Children, c)
	}
	return v, nil
}

// flat appends an execution and the executions below it to the list, without their children.
func (v *view) flat(list []*view) []*view {
	list = append(list, &view{Execution: v.Execution})
	for _, c := range v.Children {
		list = c.flat(list)
	}
	return list
}

// branches is the style of the lines below the root. The root has a line without branches.
var branches = list.Style{
	CharItemSingle: "╰─", CharItemTop: "├─", CharItemFirst: "├─", CharItemMiddle: "├─",
	CharItemVertical: "│  ", CharItemBottom: "╰─", CharNewline: "\n", Name: "branches",
}

// A limb is a line of the tree before its columns are aligned.
type limb struct {
	depth int
	name  string
	cells [5]string // status, time of day, time since the root, duration, tries
	notes []string
	// stands is how many executions the line stands for; status is their status, if they are
	// settled, and otherwise empty.
	stands int
	status engine.Status
}

func (l limb) height() int { return 1 + len(l.notes) }

// printTree prints a line for each execution, and below it a line for each of its failures. If
// height is not 0, it folds settled subtrees, and leaves out the last executions if there are
// more than height lines.
func (a *app) printTree(n *node, now time.Time, height int) {
	fmt.Fprintf(a.out, "%s  %s\n", a.out.paint(bold, n.ID), count(n.size(), "execution", "executions"))
	fmt.Fprintf(a.out, "created %s, %s\n", a.stamp(n.CreatedAt), ago(n.CreatedAt, now))
	if n.RetryOf != "" {
		fmt.Fprintf(a.out, "retry of %s\n", n.RetryOf)
	}
	if len(n.Metadata) > 0 {
		fmt.Fprintf(a.out, "metadata %s\n", pairsOf(n.Metadata))
	}
	fmt.Fprintln(a.out)
	if height > 0 {
		height = max(height-4, 1) // minus the lines above, and the line about executions left out
	}

	limbs := []limb{{name: "TASK", cells: [5]string{"STATUS", "STARTED", "AFTER", "TOOK", "TRIES"}}}
	limbs = a.limbs(limbs, n, 0, n.CreatedAt, now, height > 0)
	left := 0
	if height > 0 {
		limbs, left = fit(limbs, height)
	}
	defer func() {
		if left > 0 {
			fmt.Fprintln(a.out, a.out.paint(faint, "and "+count(left, "more", "more")))
		}
	}()
	wide := 0
	var columns [5]int
	for _, l := range limbs {
		if l.cells[0] != "" { // a line without columns needs no room before them
			wide = max(wide, 3*l.depth+len(l.name))
		}
		for i, c := range l.cells {
			columns[i] = max(columns[i], text.StringWidthWithoutEscSequences(c))
		}
	}
	width := a.out.width()
	wide, gone := narrowed(wide, columns, width)
	line := func(l limb) string {
		name := l.name
		if width > 0 {
			most := wide - 3*l.depth
			if l.cells[0] == "" { // a line without columns may use their room
				most = width - 3*l.depth
			}
			name = snip(name, max(most, 4))
		}
		s := text.Pad(name, wide-3*l.depth, ' ')
		s += "  " + text.Pad(l.cells[0], columns[0], ' ')
		for i := 1; i < 4; i++ { // align times on the right, so that their digits are below each other
			if !gone[i] {
				s += "  " + text.AlignRight.Apply(l.cells[i], columns[i])
			}
		}
		s += "  " + l.cells[4]
		lines := []string{strings.TrimRight(s, " ")}
		for _, note := range l.notes {
			if width > 0 {
				lines = append(lines, broken(note, max(width-3*l.depth-1, leastCut))...)
			} else {
				lines = append(lines, note)
			}
		}
		return strings.Join(lines, "\n")
	}
	fmt.Fprintln(a.out, a.out.paint(faint, line(limbs[0])))
	if len(limbs) == 2 {
		fmt.Fprintln(a.out, line(limbs[1]))
		return
	}
	for i, note := range limbs[1].notes {
		limbs[1].notes[i] = "│" + note
	}
	fmt.Fprintln(a.out, line(limbs[1]))
	l := list.NewWriter()
	l.SetStyle(branches)
	for i, limb := range limbs[2:] {
		if i > 0 {
			step(l, limb.depth-limbs[i+1].depth)
		}
		l.AppendItem(line(limb))
	}
	fmt.Fprintln(a.out, l.Render())
}

// narrowed returns how wide names may be, and which columns to leave out, so that a line of a
// tree fits into width; 0 means no limit.
func narrowed(wide int, columns [5]int, width int) (name int, gone [5]bool) {
	over := wide - width
	for _, c := range columns {
		over += 2 + c
	}
	if width == 0 {
		return wide, gone
	}
	for _, i := range []int{1, 2, 3} { // first the time of day, which follows from the root's
		if over > 0 {
			gone[i] = true
			over -= 2 + columns[i]
		}
	}
	return max(wide-max(over, 0), min(wide, leastCut)), gone
}

// treeHead returns how many lines printTree prints above the executions, including the names of
// the columns.
func treeHead(n *node) int {
	lines := 4
	if n.RetryOf != "" {
		lines++
	}
	if len(n.Metadata) > 0 {
		lines++
	}
	return lines
}

// step changes the indentation by this many levels.
func step(l list.Writer, levels int) {
	for ; levels > 0; levels-- {
		l.Indent()
	}
	for ; levels < 0; levels++ {
		l.UnIndent()
	}
}

func (a *app) limbs(limbs []limb, n *node, depth int, born, now time.Time, folds bool) []limb {
	l := limb{depth: depth, name: n.Task, stands: 1}
	folded := folds && depth > 0 && n.settled()
	if folded {
		l.status = n.Status
	}
	if depth > 0 {
		l.name = strings.TrimPrefix(n.ID, n.Root()) + " " + n.Task
	}
	l.cells[0] = a.display(n.Execution, now, n.lost)
	l.cells[1], l.cells[2], l.cells[4] = "-", "-", tries(n.Execution)
	if first := firstStart(n.Execution); !first.IsZero() {
		l.cells[1], l.cells[2] = a.clock(first), "+"+span(first.Sub(born))
		end := n.FinishedAt
		if end.IsZero() {
			end = now
		}
		l.cells[3] = span(end.Sub(first))
	}
	if depth > 0 && len(n.Metadata) > 0 {
		l.notes = append(l.notes, a.out.paint(faint, "  "+pairsOf(n.Metadata)))
	}
	if folded && len(n.below) > 0 {
		l.stands = n.size()
		l.cells[4] += "  " + a.out.paint(faint, "with "+grouped(l.stands-1)+" below")
	}
	if e := n.lost.Of(n.Execution); e != nil {
		l.notes = append(l.notes, a.out.paint(red, "  "+oneLine(e.Executor)+": "+a.silence(e, now)))
	}
	for _, t := range n.History {
		if !folded && t.Failure != nil && t.EndedAt != n.FinishedAt {
			l.notes = append(l.notes, a.out.paint(yellow, fmt.Sprintf("  attempt %d on %s, %s: %s",
				t.Number, oneLine(t.Executor), span(t.EndedAt.Sub(t.StartedAt)), oneLine(t.Failure.Display()))))
		}
	}
	if n.Failure != nil && n.Status.Finished() {
		why := n.Failure.Display()
		if !folded {
			why = n.Failure.Pointer() // the lines below show the reason
		}
		l.notes = append(l.notes, a.out.paint(statusColour(n.Status), "  "+oneLine(why)))
	}
	limbs = append(limbs, l)
	if folded {
		return limbs
	}
	for _, b := range n.below {
		limbs = a.limbs(limbs, b, depth+1, born, now, folds)
	}
	return limbs
}
