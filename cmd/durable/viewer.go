package main

import (
	"fmt"
	"strings"

	"github.com/gdamore/tcell/v2"
)

// A viewport tells a drawing how much to print, and the drawing sets head in it.
type viewport struct {
	// height is how many lines there is room for.
	height int
	// all means that the user scrolls or filters. The drawing then prints everything, and the
	// user scrolls to the lines for which there is no room.
	all bool
	// filter is a text in lower case; the drawing leaves out rows that do not contain it.
	filter string
	// head is how many of the first lines do not scroll. The drawing sets it.
	head int
}

// shows reports whether a row with these cells matches the filter.
func (v *viewport) shows(cells ...string) bool {
	return v.filter == "" || strings.Contains(strings.ToLower(strings.Join(cells, "\n")), v.filter)
}

// room returns the greatest number of lines to print; 0 means no limit.
func (v *viewport) room() int {
	if v.all {
		return 0
	}
	return v.height
}

// A viewer is the state of a live view that the keys of the user change.
type viewer struct {
	top    int // the first line below the head that is shown
	all    bool
	filter string
	typing bool // the filter is being typed
	help   bool
	page   int // how many lines below the head the last update had room for
	lines  int // how many lines below the head the last update had
}

const viewerHelp = `↑ ↓ k j             a line up or down
PgUp PgDn b Space   a page up or down
Home End g G        the beginning, the end
/                   filter the rows by a text: Enter keeps it, Esc drops it
?                   this help; any key leaves it
q Esc Ctrl-C        leave`

// key handles a key, and reports whether the user leaves the view.
func (w *viewer) key(e *tcell.EventKey) (leaves bool, err error) {
	switch {
	case e.Key() == tcell.KeyCtrlC:
		return true, &exitError{code: exitInterrupted}
	case w.help:
		w.help = false
	case w.typing:
		w.typed(e)
	case e.Key() == tcell.KeyEscape && w.filter != "":
		w.filter = ""
	case e.Key() == tcell.KeyEscape, e.Rune() == 'q':
		return true, nil
	case e.Rune() == '?':
		w.help = true
	case e.Rune() == '/':
		w.typing, w.top = true, 0
	default:
		w.scroll(e)
	}
	return false, nil
}

// typed handles a key while the user types the filter.
func (w *viewer) typed(e *tcell.EventKey) {
	switch e.Key() {
	case tcell.KeyEnter:
		w.typing = false
	case tcell.KeyEscape:
		w.typing, w.filter = false, ""
	case tcell.KeyBackspace, tcell.KeyBackspace2:
		if r := []rune(w.filter); len(r) > 0 {
			w.filter = string(r[:len(r)-1])
		}
	case tcell.KeyRune:
		w.filter, w.top = w.filter+string(e.Rune()), 0
	}
}

func (w *viewer) scroll(e *tcell.EventKey) {
	by, page := 0, max(w.page-1, 1) // keep one line of the previous page
	switch key, r := e.Key(), e.Rune(); {
	case key == tcell.KeyUp, r == 'k':
		by = -1
	case key == tcell.KeyDown, r == 'j':
		by = 1
	case key == tcell.KeyPgUp, r == 'b':
		by = -page
	case key == tcell.KeyPgDn, r == ' ':
		by = page
	case key == tcell.KeyHome, r == 'g':
		w.top, w.all = 0, false
		return
	case key == tcell.KeyEnd, r == 'G':
		w.top, w.all = 1<<30, true // shown limits it to the last line
		return
	default:
		return
	}
	w.top, w.all = max(w.top+by, 0), true
}

// viewport returns the viewport for a terminal with this many lines.
func (w *viewer) viewport(height int) *viewport {
	return &viewport{height: height, all: w.all || w.filter != "", filter: strings.ToLower(w.filter)}
}

// shown returns the lines to show. If not all fit, or if there is a filter, the last line shows
// the position and the filter.
func (w *viewer) shown(lines []string, head, width, height int) []string {
	if w.help {
		var help []string
		for line := range strings.SplitSeq(viewerHelp, "\n") {
			help = append(help, broken(line, width)...)
		}
		return help
	}
	head = min(head, len(lines), max(height-2, 0))
	w.lines = len(lines) - head
	barred := w.typing || w.filter != "" || w.all || len(lines) > height
	w.page = height - head
	if barred {
		w.page--
	}
	w.page = max(w.page, 1)
	w.top = max(min(w.top, w.lines-w.page), 0)
	end := min(w.top+w.page, w.lines)
	shown := append(append([]string{}, lines[:head]...), lines[head+w.top:head+end]...)
	if !barred {
		return shown
	}
	for len(shown) < height-1 {
		shown = append(shown, "")
	}
	where := fmt.Sprintf("lines %d-%d of %d; q ends, ? for help", min(w.top+1, end), end, w.lines)
	switch {
	case w.typing:
		where = "/" + printable(w.filter) + "_  " + where
	case w.filter != "":
		where = "/" + printable(w.filter) + "  " + where
	}
	return append(shown, snip(where, width))
}
