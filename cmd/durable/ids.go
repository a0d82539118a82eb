package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/durable-execution/durable/engine"
)

// executionID is exactly one valid execution id.
func executionID(cmd *cobra.Command, args []string) error {
	if err := exactly(1, "one execution id")(cmd, args); err != nil {
		return err
	}
	return checkID("", args[0])
}

// checkID says what is wrong with an id that a user has typed, and how it is written if it
// looks like one of another form. Before it stands the flag that it was given with, if any.
func checkID(flag, id string) error {
	err := engine.ValidateID(id)
	if err == nil {
		return nil
	}
	hint := "durable list shows the ids"
	if right := rightID(id); right != "" {
		hint = "did you mean " + right + "? The children of a root are ROOT.0, ROOT.1 and so on, theirs ROOT.0-0, and a finalize has an f"
	}
	if flag != "" {
		return usage(hint, "%s: %w", flag, err)
	}
	return usage(hint, "%w", err)
}

// rightID is an id as this program writes it, made of one whose parts somebody has put
// together in another way: a.0.1, a/0/1, a:0-1, a.0_1, a[0][1]. It is empty if there is none.
func rightID(typed string) string {
	parts := strings.FieldsFunc(typed, func(r rune) bool { return strings.ContainsRune(".:/#[]", r) })
	if len(parts) < 2 {
		return ""
	}
	path := pathOf(strings.Join(parts[1:], "-"))
	if path == "" || engine.ValidateID(parts[0]+"."+path) != nil {
		return ""
	}
	return parts[0] + "." + path
}

// otherForms are the ids of children that one which is that of no execution may mean, of
// a-0-1 for example a.0-1 and a-0.1.
func otherForms(id string) []string {
	var list []string
	flat := strings.Replace(id, ".", "-", 1)
	for i, r := range flat {
		if i == 0 || r != '-' && r != '_' {
			continue
		}
		if path := pathOf(flat[i+1:]); path != "" && flat[:i]+"."+path != id {
			list = append(list, flat[:i]+"."+path)
		}
	}
	return list
}

// pathOf is the way from a root to one below it, however its steps are told apart; empty
// if it is none.
func pathOf(typed string) string {
	steps := strings.FieldsFunc(typed, func(r rune) bool { return r == '-' || r == '_' })
	for i, step := range steps {
		switch {
		case step == "finalize":
			steps[i] = "f"
		case step != "f" && strings.Trim(step, "0123456789") != "" && (i > 0 || step[0] != 'h'): // a hash of what lies between
			return ""
		}
	}
	return strings.Join(steps, "-")
}

// mostForms is how many ids are looked for at most to find the one that was meant.
const mostForms = 8

// missing says of an execution that is not there which one may have been meant. Any other
// error stays as it is.
func (a *app) missing(ctx context.Context, s *store, id string, err error) error {
	if !errors.Is(err, engine.ErrNotFound) {
		return err
	}
	forms := otherForms(id)
	for _, form := range forms[:min(len(forms), mostForms)] {
		if engine.ValidateID(form) != nil {
			continue
		}
		if _, e := engine.NewClient(s).Get(ctx, form); e == nil {
			return &exitError{exitNotFound, err, fmt.Sprintf("did you mean %s?", form)}
		}
	}
	return err
}
