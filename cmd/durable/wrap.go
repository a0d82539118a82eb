package main

import (
	"bytes"
	"io"
	"strings"

	"github.com/jedib0t/go-pretty/v6/text"
)

// A wrapping writes to a terminal. It breaks lines that are too long between words, where
// a terminal would break them anywhere.
type wrapping struct {
	w     io.Writer
	width func() int
}

// wraps has what goes to terminals broken into lines.
func (a *app) wraps() {
	for _, s := range []*screen{&a.out, &a.err} {
		if s.terminal {
			s.Writer = wrapping{s.Writer, s.width}
		}
	}
}

// unwrapped is what s writes to without breaking lines.
func (s screen) unwrapped() io.Writer {
	if w, ok := s.Writer.(wrapping); ok {
		return w.w
	}
	return s.Writer
}

func (w wrapping) Write(p []byte) (int, error) {
	width := w.width()
	// What moves the cursor is a picture, and no text.
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

// broken is a line in lines of so many columns, broken between words: a longer word has a
// line to itself. They are set in as far as what stands behind a label in the first, or two
// columns further than that.
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

// hangOf is where what stands behind a label begins: behind the first two spaces, if that
// is near the beginning.
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
