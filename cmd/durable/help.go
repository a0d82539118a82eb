package main

import (
	"fmt"
	"strings"

	"github.com/jedib0t/go-pretty/v6/text"
	"github.com/spf13/cobra"
)

// helpColumns is how wide help is, at a terminal and elsewhere.
const helpColumns = 80

// wrapHelp has the help of a command, and of those below it, fit.
func wrapHelp(cmd *cobra.Command) {
	cmd.Long = filled(cmd.Long)
	for _, c := range cmd.Commands() {
		wrapHelp(c)
	}
	if !cmd.HasParent() {
		cmd.SetUsageTemplate(strings.ReplaceAll(cmd.UsageTemplate(), ".FlagUsages", fmt.Sprintf(".FlagUsagesWrapped %d", helpColumns)))
	}
}

// filled is a text with its paragraphs filled anew. Lines that begin with a space, or
// stand before one that does, stay as they are.
func filled(long string) string {
	var out, paragraph []string
	end := func() {
		if len(paragraph) > 0 {
			out = append(out, fill(strings.Join(paragraph, " ")))
			paragraph = nil
		}
	}
	lines := strings.Split(long, "\n")
	for i, line := range lines {
		switch {
		case line == "", strings.HasPrefix(line, " "), i+1 < len(lines) && strings.HasPrefix(lines[i+1], " "):
			end()
			out = append(out, line)
		default:
			paragraph = append(paragraph, line)
		}
	}
	end()
	return strings.Join(out, "\n")
}

// fill breaks a text into lines that fit.
func fill(s string) string {
	var b strings.Builder
	at := 0
	for i, word := range strings.Fields(s) {
		n := text.StringWidthWithoutEscSequences(word)
		switch {
		case i == 0:
		case at+1+n > helpColumns:
			b.WriteByte('\n')
			at = 0
		default:
			b.WriteByte(' ')
			at++
		}
		b.WriteString(word)
		at += n
	}
	return b.String()
}
