package main

import (
	"bufio"
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// A loss holds the flags of a command that destroys something for good.
type loss struct {
	yes    bool
	reason string
}

// flags gives the command the flags --yes and --reason.
func (l *loss) flags(cmd *cobra.Command, reason, about string) *cobra.Command {
	cmd.Flags().BoolVar(&l.yes, "yes", false, "don't ask; required where there is no terminal to ask on")
	cmd.Flags().StringVar(&l.reason, "reason", reason, about)
	return cmd
}

// because returns the reason as the end of a line; empty if none was given.
func (l *loss) because() string {
	if l.reason == "" {
		return ""
	}
	return ": " + oneLine(l.reason)
}

// onlySaid is the help of a --reason that no record keeps.
const onlySaid = "why; the command only prints it, because no record remains to keep it"

// mustBeSure refuses a destructive command without --yes if there is no terminal to ask on, as
// in a pipe or a script. Commands call it before they open the store.
func (a *app) mustBeSure(cmd *cobra.Command, yes bool) error {
	if yes || a.asked && a.err.terminal {
		return nil
	}
	return usage("--yes skips the question", "%s asks for confirmation, but there is no terminal to ask on: nothing was done", cmd.Name())
}

// confirm asks the person at the terminal whether to go on, unless they have said --yes.
func (a *app) confirm(ctx context.Context, yes bool, question string) error {
	if yes {
		return nil
	}
	fmt.Fprintf(a.err, "%s [y/N] ", question)
	answer, err := bufio.NewReader(a.in).ReadString('\n')
	if ctx.Err() != nil {
		fmt.Fprintln(a.err)
		return context.Cause(ctx)
	}
	switch strings.ToLower(strings.TrimSpace(answer)) {
	case "y", "yes":
		return nil
	}
	if err != nil {
		fmt.Fprintln(a.err) // the input ended before the line did
	}
	return &exitError{exitIncomplete, fmt.Errorf("not confirmed: nothing was done"), "--yes skips the question"}
}
