package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/jedib0t/go-pretty/v6/text"
	"github.com/spf13/cobra"
)

// wrapHelp wraps the help of a command and its subcommands to the terminal. The flags that
// every command takes are left out: durable options lists them.
func (a *app) wrapHelp(cmd *cobra.Command) {
	width := a.out.textWidth()
	wrapLong(cmd, width)
	usage := strings.NewReplacer(
		".LocalFlags.FlagUsages", fmt.Sprintf(".LocalNonPersistentFlags.FlagUsagesWrapped %d", width),
		`{{if .HasAvailableInheritedFlags}}

Global Flags:
{{.InheritedFlags.FlagUsages | trimTrailingWhitespaces}}{{end}}`, "\n\n"+fill("Every command also takes the flags that durable options lists, such as --json, --dir and --server.", width),
	)
	cmd.SetUsageTemplate(usage.Replace(cmd.UsageTemplate()))
}

func wrapLong(cmd *cobra.Command, width int) {
	cmd.Long = filled(cmd.Long, width)
	for _, c := range cmd.Commands() {
		wrapLong(c, width)
	}
}

// options returns the command that lists the flags that every command takes.
func (a *app) options() *cobra.Command {
	return &cobra.Command{
		Use:   "options",
		Short: "List the flags that every command takes",
		Args:  exactly(0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprintf(a.out, "Every command takes these flags:\n\n%s", cmd.InheritedFlags().FlagUsagesWrapped(a.out.textWidth()))
			return err
		},
	}
}

// help returns the command help. Cobra's own exits with 0 for an unknown command; this one
// reports an error.
func (a *app) help() *cobra.Command {
	return &cobra.Command{
		Use:   "help [COMMAND]",
		Short: "Explain a command",
		Args:  cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			found := cmd.Root()
			for _, arg := range args {
				i := slices.IndexFunc(found.Commands(), func(c *cobra.Command) bool { return c.Name() == arg || c.HasAlias(arg) })
				if i < 0 {
					return unknownCommand(found, arg)
				}
				found = found.Commands()[i]
			}
			found.InitDefaultHelpFlag()
			return found.Help()
		},
		ValidArgsFunction: func(cmd *cobra.Command, args []string, typed string) (names []string, _ cobra.ShellCompDirective) {
			if len(args) == 0 {
				for _, c := range cmd.Root().Commands() {
					if c.IsAvailableCommand() && strings.HasPrefix(c.Name(), typed) {
						names = append(names, c.Name()+"\t"+c.Short)
					}
				}
			}
			return names, cobra.ShellCompDirectiveNoFileComp
		},
	}
}

// filled wraps the paragraphs of a text to width. A line that begins with a space stays as
// it is, and so does the line before it.
func filled(long string, width int) string {
	var out, paragraph []string
	end := func() {
		if len(paragraph) > 0 {
			out = append(out, fill(strings.Join(paragraph, " "), width))
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

// fill breaks a text into lines of at most width columns, between words.
func fill(s string, width int) string {
	var b strings.Builder
	at := 0
	for i, word := range strings.Fields(s) {
		n := text.StringWidthWithoutEscSequences(word)
		switch {
		case i == 0:
		case at+1+n > width:
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
