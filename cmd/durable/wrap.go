package main

import (
	"bytes"
	"io"
	"strings"

	"github.com/jedib0t/go-pretty/v6/text"
)

// A wrapping writes to a terminal and breaks long lines between words. A terminal itself would
// break them anywhere.
type wrapping struct {
	w     io.Writer
	width func() int
}

// wraps makes stdout and stderr break long lines if they are terminals.
func (a *app) wraps() {
	for _, s := range []*screen{&a.out, &a.err} {
		if s.terminal {
			s.Writer = wrapping{s.Writer, s.width}
		}
	}
}

// unwrapped returns the writer of s that does not break lines.
func (s screen) unwrapped() io.Writer {
	if w, ok := s.Writer.(wrapping); ok {
		return w.w
	}
	return s.Writer
}

func (w wrapping) Write(p []byte) (int, error) {
	width := w.width()
	// A write that moves the cursor draws a picture: don't break it.
	if width == 0 || !bytes.Contains(p, []byte{'\n'}) || bytes.ContainsAny(p, "\r") || bytes.Contains(p, []byte("\x1b[K")) {
		return w.w.Write(p)
	}
	var b strings.Builder
	for line := range strings.Lines(string(p)) {
		body, whole := strings.CutSuffix(line, "\n")
		b.WriteString(strings.Join(broken(body, width), "\n"))
		if whole {
			b.WriteByte('\n')
		}
	}
	if _, err := io.WriteString(w.w, b.String()); err != nil {
		return 0, err
	}
	return len(p), nil
}

// broken breaks a line between words into lines of at most width columns. A longer word gets a
// line of its own. [hangOf] returns the indentation of the lines after the first.
func broken(line string, width int) []string {
	if text.StringWidthWithoutEscSequences(line) <= width {
		return []string{line}
	}
	hang := hangOf(line)
	if hang > width/2 {
		hang = 2
	}
	indent := len(line) - len(strings.TrimLeft(line, " "))
	lines, at := []string{}, indent
	var b strings.Builder
	b.WriteString(line[:indent])
	begun := false
	for rest := line[indent:]; rest != ""; {
		n := strings.IndexFunc(rest, func(r rune) bool { return r != ' ' })
		if n < 0 {
			break
		}
		spaces := rest[:n]
		rest = rest[n:]
		end := strings.IndexByte(rest, ' ')
		if end < 0 {
			end = len(rest)
		}
		word := rest[:end]
		rest = rest[end:]
		wide := text.StringWidthWithoutEscSequences(word)
		if begun && at+len(spaces)+wide > width {
			lines = append(lines, b.String())
			b.Reset()
			b.WriteString(strings.Repeat(" ", hang))
			at, spaces = hang, ""
		}
		b.WriteString(spaces + word)
		at += len(spaces) + wide
		begun = true
	}
	return append(lines, b.String())
}

// hangOf returns the indentation of the lines after the first. If the line begins with a label
// and two spaces, it is the column of the text after them; otherwise it is two columns more than
// the line's own.
func hangOf(line string) int {
	const near = 14
	plain := text.StripEscape(line)
	indent := len(plain) - len(strings.TrimLeft(plain, " "))
	label, rest, found := strings.Cut(plain[indent:], "  ")
	if at := indent + text.StringWidthWithoutEscSequences(label) + 2; found && at <= near {
		return at + len(rest) - len(strings.TrimLeft(rest, " "))
	}
	if word, _, found := strings.Cut(plain[indent:], " "); found && indent == 0 && len(word) == 10 {
		return 11 // a label that fills its column
	}
	return indent + 2
}
