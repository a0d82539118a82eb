package engine

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

const nilFunction = "its function is nil"

// Check returns an error that says why the binding is invalid and where it was bound,
// or nil.
func (b Binding) Check() error {
	switch {
	case b.Place == "" && b.Run == nil:
		return errors.New("a binding is empty: create it with Bind or another Bind function")
	case b.Definition == nil:
		return fmt.Errorf("the task bound at %s is the zero Task: create it with Define", b.Place)
	case b.reason != "":
		return fmt.Errorf("task %q, bound at %s: %s", b.ID, b.Place, b.reason)
	case b.Definition.sleeping && !b.asleep:
		return fmt.Errorf("task %q, bound at %s, is defined at %s as a sleeping task: its code would never run; use BindSleeping", b.ID, b.Place, b.Definition.Place)
	case b.Run == nil:
		return fmt.Errorf("task %q, bound at %s: %s", b.ID, b.Place, nilFunction)
	}
	return nil
}

// CheckBindings returns an error if one executor can't run these bindings together.
// The map's keys are task ids. A finalize or a step must be defined with the same types
// everywhere, and must not lead back to itself through finalizes and steps: such an
// execution would never finish. The error names both places. A task may spawn itself, and
// tasks that lead to it: its code decides when that ends.
func CheckBindings(all map[string]Binding) error {
	seen := map[string]*Definition{}
	meet := func(d *Definition) error {
		first, met := seen[d.ID]
		if !met {
			seen[d.ID] = d
			return nil
		}
		return first.Conflict(d)
	}
	ids := slices.Sorted(maps.Keys(all)) // so that the same program gets the same error
	for _, id := range ids {
		if err := meet(all[id].Definition); err != nil {
			return err
		}
	}
	for _, id := range ids {
		b := all[id]
		for _, d := range b.follow {
			if err := meet(d); err != nil {
				return fmt.Errorf("task %q, bound at %s, leads to task %q: %w", b.ID, b.Place, d.ID, err)
			}
		}
	}
	for _, id := range ids {
		if err := checkEnd(all, []string{id}, map[string]bool{}); err != nil {
			return err
		}
	}
	return nil
}

// checkEnd refuses a path of finalizes and steps that returns to its beginning.
func checkEnd(all map[string]Binding, path []string, done map[string]bool) error {
	for _, d := range all[path[len(path)-1]].follow {
		if d.ID == path[0] {
			b := all[d.ID]
			return fmt.Errorf("task %q, bound at %s, is its own finalize or step, defined at %s: %s: it would never finish",
				d.ID, b.Place, d.Place, strings.Join(append(path, d.ID), " → "))
		}
		if done[d.ID] {
			continue
		}
		done[d.ID] = true
		if err := checkEnd(all, append(path, d.ID), done); err != nil {
			return err
		}
	}
	return nil
}
