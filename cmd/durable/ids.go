package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/durable-execution/durable/engine"
)

// executionID checks that there is exactly one argument, and that it is a valid execution id.
func executionID(cmd *cobra.Command, args []string) error {
	if err := exactly(1, "one execution id")(cmd, args); err != nil {
		return err
	}
	return checkID("", args[0])
}

// checkID returns a usage error if the id is not valid. If the id looks like one in another
// notation, the hint gives the right one. The error begins with flag, if it is not empty.
func checkID(flag, id string) error {
	err := engine.ValidateID(id)
	if err == nil {
		return nil
	}
	hint := "durable list lists the ids"
	if right := rightID(id); right != "" {
		hint = "did you mean " + right + "? The children of ROOT are ROOT.0, ROOT.1 and so on, the children of ROOT.0 are ROOT.0-0 and so on, and f stands for a finalize"
	}
	if flag != "" {
		return usage(hint, "%s: %w", flag, err)
	}
	return usage(hint, "%w", err)
}

// rightID returns the valid id for one whose parts a user separated in another way, such as
// a.0.1, a/0/1, a:0-1, a.0_1 or a[0][1]. It is empty if it finds none.
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

// otherForms returns the ids of children that a user may have meant by an unknown id:
// for a-0-1, for example, a.0-1 and a-0.1.
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

// pathOf returns the part of a child's id after the dot, from steps that - or _ separate. It
// is empty if a step is not a valid one.
func pathOf(typed string) string {
	steps := strings.FieldsFunc(typed, func(r rune) bool { return r == '-' || r == '_' })
	for i, step := range steps {
		switch {
		case step == "finalize":
			steps[i] = "f"
		case step != "f" && strings.Trim(step, "0123456789") != "" && (i > 0 || step[0] != 'h'): // the first step of a long id is a hash
			return ""
		}
	}
	return strings.Join(steps, "-")
}

// mostForms is the most ids that the program looks up to find the one that the user meant.
const mostForms = 8

// missing adds a hint to the error that an execution was not found: the id that the user may
// have meant. It returns any other error unchanged.
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
