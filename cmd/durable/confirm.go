package main

import (
	"bufio"
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// A loss is what the flags say of a command after which something is gone for good.
type loss struct {
	yes    bool
	reason string
}

// flags gives the command the flags --yes and --reason.
func (l *loss) flags(cmd *cobra.Command, reason, about string) *cobra.Command {
	cmd.Flags().BoolVar(&l.yes, "yes", false, "do it without asking; needed where there is no terminal to ask at")
	cmd.Flags().StringVar(&l.reason, "reason", reason, about)
	return cmd
}

// because is the reason, if one was given, as it ends a line.
func (l *loss) because() string {
	if l.reason == "" {
		return ""
	}
	return ": " + oneLine(l.reason)
}

// onlySaid is what is said of a reason that nothing keeps.
const onlySaid = "why; it is printed, and kept nowhere: nothing is left that could keep it"

// mustBeSure refuses a command after which something is gone for good where nobody can be
// asked, in a pipe or a script, and --yes does not say that it is wanted. It opens nothing.
func (a *app) mustBeSure(cmd *cobra.Command, yes bool) error {
	if yes || a.asked && a.err.terminal {
		return nil
	}
	return usage("--yes does it without asking", "%s asks before, and there is no terminal to ask at: nothing was done", cmd.Name())
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
		fmt.Fprintln(a.err) // nobody has ended the line
	}
	return &exitError{exitIncomplete, fmt.Errorf("nothing was done"), "--yes does it without asking"}
}
