package main

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/jedib0t/go-pretty/v6/text"

	"github.com/durable-execution/durable/engine"
)

// ago returns how long t is before or after now, in one unit.
func ago(t, now time.Time) string {
	d := now.Sub(t)
	switch {
	case d <= -time.Second:
		return "in " + coarse(positive(d))
	case d < time.Second:
		return "just now"
	}
	return coarse(d) + " ago"
}

// positive returns -d for a negative d. The least Duration has no positive counterpart, so it
// returns the greatest Duration for it.
func positive(d time.Duration) time.Duration { return -max(d, -math.MaxInt64) }

func coarse(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%ds", d/time.Second)
	case d < time.Hour:
		return fmt.Sprintf("%dm", d/time.Minute)
	case d < 2*day:
		return fmt.Sprintf("%dh", d/time.Hour)
	}
	return fmt.Sprintf("%dd", d/day)
}

// span formats a duration with about three digits.
func span(d time.Duration) string {
	switch {
	case d < 0:
		return "-" + span(positive(d))
	case d < time.Second:
		return fmt.Sprintf("%dms", d.Milliseconds())
	case d < time.Minute && d%time.Second == 0:
		return d.String()
	case d < 10*time.Second:
		return fmt.Sprintf("%.2fs", d.Seconds())
	case d < time.Minute:
		return fmt.Sprintf("%.1fs", d.Seconds())
	case d < time.Hour:
		return fmt.Sprintf("%dm%02ds", d/time.Minute, d%time.Minute/time.Second)
	}
	return fmt.Sprintf("%dh%02dm", d/time.Hour, d%time.Hour/time.Minute)
}

// byteSize formats a number of bytes for people.
func byteSize(n int64) string {
	if n < 1024 {
		return fmt.Sprintf("%d B", n)
	}
	f := float64(n)
	unit := ""
	for _, unit = range []string{"KiB", "MiB", "GiB", "TiB"} {
		if f /= 1024; f < 1024 {
			break
		}
	}
	return strings.TrimSuffix(fmt.Sprintf("%.1f", f), ".0") + " " + unit
}

// count formats a number with its noun.
func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return grouped(n) + " " + many
}

// grouped formats a number with commas between the thousands.
func grouped(n int) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// printable replaces each character that is not text, such as one that moves the cursor, with a
// question mark: file names and errors may contain any bytes.
func printable(s string) string { return strings.Map(printableRune, s) }

// printableText is [printable] for a text of several lines: it keeps line breaks and tabs.
func printableText(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' || r == '\t' {
			return r
		}
		return printableRune(r)
	}, s)
}

func printableRune(r rune) rune {
	if r == utf8.RuneError || !unicode.IsPrint(r) {
		return '?'
	}
	return r
}

// oneLine joins the lines of s, and makes them printable.
func oneLine(s string) string {
	return printable(strings.Join(strings.FieldsFunc(s, func(r rune) bool { return r == '\n' || r == '\r' }), "; "))
}

// snip cuts the end of s so that it fits into width columns; 0 means no limit.
func snip(s string, width int) string {
	if width <= 0 {
		return s
	}
	return text.Snip(s, width, "…")
}

// snipLeft cuts the beginning of s so that it fits into width columns: the end of a path says
// more than its beginning. 0 means no limit.
func snipLeft(s string, width int) string {
	if width <= 0 || text.StringWidthWithoutEscSequences(s) <= width {
		return s
	}
	for text.StringWidthWithoutEscSequences(s) > width-1 {
		_, n := utf8.DecodeRuneInString(s)
		s = s[n:]
	}
	return "…" + s
}

// shortPath returns a path relative to the working directory if it is below that, and
// otherwise the path itself.
func shortPath(path string) string {
	wd, err := os.Getwd()
	if err != nil {
		return printable(path)
	}
	rel, err := filepath.Rel(wd, path)
	if err != nil || !filepath.IsLocal(rel) {
		return printable(path)
	}
	return printable(rel)
}

func statusColour(s engine.Status) colour {
	switch {
	case s == engine.Completed:
		return green
	case s == engine.Cancelled:
		return yellow
	case s.Finished():
		return red
	case s == engine.Running:
		return cyan
	}
	return ""
}
