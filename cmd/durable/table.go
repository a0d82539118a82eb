package main

import (
	"fmt"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
)

// A grid is a table of columns and nothing else, which fits a terminal of any width: see
// [grid.fit].
type grid struct {
	head    []string
	rows    [][]string
	numbers map[int]bool // columns, from 0, that stand on the right
	whole   map[int]bool // columns that are never cut: they are copied
	spare   []int        // columns that may go where there is no room, the first to go first
}

func plainTable() *grid { return &grid{numbers: map[int]bool{}, whole: map[int]bool{}} }

// withNumbers is a grid whose columns with these numbers, from 1, are numbers.
func withNumbers(columns ...int) *grid {
	g := plainTable()
	for _, n := range columns {
		g.numbers[n-1] = true
	}
	return g
}

// AppendHeader gives the grid its head.
func (g *grid) AppendHeader(row table.Row) { g.head = cellsOf(row) }

// AppendRow adds a row, which may have fewer cells than others.
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
	leastCut = 10 // what is left of a cell that is cut, at least
)

// fit is the table in lines of at most so many columns; 0 is as many as it takes. What is
// too wide is cut, the widest columns first. Where that is not enough columns that can be
// spared go, and then each row takes several lines, each cell behind the name of its column.
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

// widths are how wide columns may be so that a row without those that are gone has so many
// columns at most.
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

// stacked has the first cell of each row in a line, and the others below it.
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

// fitting is a table that fits the output.
func (a *app) fitting(g *grid) string { return g.fit(a.out.width()) }

// must is for errors that only a programmer can cause.
func must(err error) {
	if err != nil {
		panic(err)
	}
}
