package main

import (
	"bufio"
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// asks gives a command that removes things the flag --yes.
func asks(cmd *cobra.Command, yes *bool) *cobra.Command {
	cmd.Flags().BoolVar(yes, "yes", false, "do it without asking, where a terminal would be asked")
	return cmd
}

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
