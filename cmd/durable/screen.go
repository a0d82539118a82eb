package main

import (
	"io"
	"os"

	"golang.org/x/term"
)

// A screen is an output stream and what is known of what shows it.
type screen struct {
	io.Writer
	// terminal says that people see it at once, and that lines can be redrawn.
	terminal bool
	// fd is that of the terminal, to ask for its width.
	fd int
	// columns is its width where it is known without asking; 0 asks.
	columns int
}

func screenOf(f *os.File) screen {
	fd := int(f.Fd())
	return screen{Writer: f, terminal: term.IsTerminal(fd) && os.Getenv("TERM") != "dumb", fd: fd}
}

// width returns the number of columns; 0 where lines may have any length.
func (s screen) width() int {
	if !s.terminal || s.columns > 0 {
		return s.columns
	}
	w, _, err := term.GetSize(s.fd)
	if err != nil || w <= 0 {
		return 80
	}
	return w
}

// textColumns is the greatest width of a text such as a help, and its width where the output
// is not a terminal.
const textColumns = 80

// textWidth returns how many columns a text may take.
func (s screen) textWidth() int {
	if w := s.width(); w > 0 {
		return min(w, textColumns)
	}
	return textColumns
}

// colours reports whether colours may be used: see no-color.org.
func (s screen) colours() bool {
	return s.terminal && os.Getenv("NO_COLOR") == ""
}

// A colour is an ANSI sequence.
type colour string

const (
	red    colour = "\x1b[31m"
	green  colour = "\x1b[32m"
	yellow colour = "\x1b[33m"
	cyan   colour = "\x1b[36m"
	faint  colour = "\x1b[2m"
	bold   colour = "\x1b[1m"
)

// paint returns text in a colour, if the screen has any.
func (s screen) paint(c colour, text string) string {
	if c == "" || text == "" || !s.colours() {
		return text
	}
	return string(c) + text + "\x1b[0m"
}
