package engine

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

const nilFunction = "its function is nil"

// Check returns what keeps the binding from being run, with the place where it was bound; nil
// if nothing does.
func (b Binding) Check() error {
	switch {
	case b.Place == "" && b.Run == nil:
		return errors.New("a binding is empty")
	case b.Definition == nil:
		return fmt.Errorf("the task that is bound at %s is not defined: it is the zero Task", b.Place)
	case b.reason != "":
		return fmt.Errorf("task %q, bound at %s: %s", b.ID, b.Place, b.reason)
	case b.Run == nil:
		return fmt.Errorf("task %q, bound at %s: %s", b.ID, b.Place, nilFunction)
	}
	return nil
}

// CheckBindings returns what keeps bindings, by the ids of their tasks, from being run by one
// executor: a finalize or a step is defined elsewhere with other types, or leads to itself, so
// that no execution would ever come to its end. Both places are named. A task may spawn itself,
// and what leads to it: its code decides when that ends.
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

// checkEnd refuses a path of finalizes and steps that comes back to where it began.
func checkEnd(all map[string]Binding, path []string, done map[string]bool) error {
	for _, d := range all[path[len(path)-1]].follow {
		if d.ID == path[0] {
			b := all[d.ID]
			return fmt.Errorf("task %q, bound at %s, is its own finalize or step, defined at %s: %s: it would never end",
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
