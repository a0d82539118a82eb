package main

import (
	"io"
	"os"

	"golang.org/x/term"
)

// A screen is an output stream with the properties of its terminal, if it has one.
type screen struct {
	io.Writer
	// terminal means that the stream goes to a terminal, so that lines can be redrawn.
	terminal bool
	// fd is the file descriptor of the terminal, to ask for its width.
	fd int
	// columns is the width, if it is known without asking the terminal; otherwise 0.
	columns int
}

func screenOf(f *os.File) screen {
	fd := int(f.Fd())
	return screen{Writer: f, terminal: term.IsTerminal(fd) && os.Getenv("TERM") != "dumb", fd: fd}
}

// width returns the number of columns; 0 means that lines may have any length.
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

// A colour is an ANSI escape sequence.
type colour string

const (
	red    colour = "\x1b[31m"
	green  colour = "\x1b[32m"
	yellow colour = "\x1b[33m"
	cyan   colour = "\x1b[36m"
	faint  colour = "\x1b[2m"
	bold   colour = "\x1b[1m"
)

// paint returns text in a colour, if the screen shows colours.
func (s screen) paint(c colour, text string) string {
	if c == "" || text == "" || !s.colours() {
		return text
	}
	return string(c) + text + "\x1b[0m"
}
