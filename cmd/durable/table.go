package main

import (
	"fmt"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
)

// A grid is a table without borders that fits a terminal of any width: see [grid.fit].
type grid struct {
	head    []string
	rows    [][]string
	numbers map[int]bool // columns, from 0, to align on the right
	whole   map[int]bool // columns that are never cut, because users copy their cells
	spare   []int        // columns to leave out if there is no room, in this order
}

func plainTable() *grid { return &grid{numbers: map[int]bool{}, whole: map[int]bool{}} }

// withNumbers returns a grid that aligns these columns, counted from 1, on the right.
func withNumbers(columns ...int) *grid {
	g := plainTable()
	for _, n := range columns {
		g.numbers[n-1] = true
	}
	return g
}

// AppendHeader sets the header.
func (g *grid) AppendHeader(row table.Row) { g.head = cellsOf(row) }

// AppendRow adds a row. It may have fewer cells than other rows.
func (g *grid) AppendRow(row table.Row) { g.rows = append(g.rows, cellsOf(row)) }

func cellsOf(row table.Row) []string {
	list := make([]string, len(row))
	for i, cell := range row {
		list[i] = fmt.Sprint(cell)
	}
	return list
}

const (
	gap      = 2  // between two columns
	leastCut = 10 // the least width of a cell that is cut
)

// fit formats the table in lines of at most width columns; 0 means no limit. It cuts cells, in
// the widest columns first. If that is not enough, it leaves out the spare columns. If that is
// not enough either, each row takes several lines, with the name of the column before each cell.
func (g *grid) fit(width int) string {
	gone := map[int]bool{}
	for n := range len(g.spare) + 1 {
		if n > 0 {
			gone[g.spare[n-1]] = true
		}
		if widths, ok := g.widths(width, gone); ok {
			return g.render(widths)
		}
	}
	return g.stacked(width)
}

// widths returns the widths of the columns with which a row fits into width, without the
// columns in gone. ok is false if no widths fit.
func (g *grid) widths(width int, gone map[int]bool) (widths []int, ok bool) {
	least, over := []int{}, -gap-width
	for _, row := range append([][]string{g.head}, g.rows...) {
		for i, cell := range row {
			if i >= len(widths) {
				widths, least = append(widths, 0), append(least, 0)
			}
			if !gone[i] {
				widths[i] = max(widths[i], text.StringWidthWithoutEscSequences(cell))
			}
		}
	}
	if width == 0 {
		return widths, true
	}
	for i, w := range widths {
		if w > 0 {
			over += w + gap
		}
		if least[i] = w; !g.whole[i] {
			least[i] = min(w, leastCut)
		}
	}
	for ; over > 0; over-- {
		widest := -1
		for i, w := range widths {
			if w > least[i] && (widest < 0 || w > widths[widest]) {
				widest = i
			}
		}
		if widest < 0 {
			return widths, false
		}
		widths[widest]--
	}
	return widths, true
}

func (g *grid) render(widths []int) string {
	var b strings.Builder
	line := func(row []string) {
		var l strings.Builder
		for i, cell := range row {
			if widths[i] == 0 {
				continue
			}
			align := text.AlignLeft
			if g.numbers[i] {
				align = text.AlignRight
			}
			l.WriteString(align.Apply(snip(cell, widths[i]), widths[i]) + strings.Repeat(" ", gap))
		}
		b.WriteString(strings.TrimRight(l.String(), " ") + "\n")
	}
	if len(g.head) > 0 {
		line(g.head)
	}
	for _, row := range g.rows {
		line(row)
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// stacked formats the first cell of each row on a line of its own, and the other cells below.
func (g *grid) stacked(width int) string {
	var lines []string
	for _, row := range g.rows {
		lines = append(lines, snip(row[0], width))
		line := ""
		for i, cell := range row[1:] {
			if strings.TrimSpace(cell) == "" {
				continue
			}
			if i+1 < len(g.head) && g.head[i+1] != "" {
				cell = g.head[i+1] + " " + cell
			}
			cell = snip(cell, width-gap)
			if used := text.StringWidthWithoutEscSequences(line); used > 0 && used+gap+text.StringWidthWithoutEscSequences(cell) > width {
				lines, line = append(lines, line), ""
			}
			line += strings.Repeat(" ", gap) + cell
		}
		if line != "" {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "\n")
}

// fitting formats a table to fit the output.
func (a *app) fitting(g *grid) string { return g.fit(a.out.width()) }

// must panics on errors that only a mistake in the program can cause.
func must(err error) {
	if err != nil {
		panic(err)
	}
}
