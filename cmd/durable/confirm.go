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
	cmd.Flags().BoolVar(&l.yes, "yes", false, "do it without asking, where a terminal would be asked")
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

// confirm asks a person at a terminal whether to go on. Where nobody can be asked,
// in a pipe or a script, what the command line says is what is wanted.
func (a *app) confirm(ctx context.Context, yes bool, question string) error {
	if yes || !a.asked || !a.err.terminal {
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
