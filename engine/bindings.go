package engine

import (
	"errors"
	"fmt"
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
	case b.Definition.sleeping && !b.asleep:
		return fmt.Errorf("task %q, bound at %s, is defined at %s as one that sleeps: its code would never run; BindSleeping binds it without any", b.ID, b.Place, b.Definition.Place)
	case b.Run == nil:
		return fmt.Errorf("task %q, bound at %s: %s", b.ID, b.Place, nilFunction)
	}
	return nil
}

// CheckBindings returns what keeps bindings, by the ids of their tasks, from being run by one
// executor: a finalize or a step is defined elsewhere with other types, or leads to itself, so
// that no execution would ever come to its end. Both places are named.
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
	for _, b := range all {
		if err := meet(b.Definition); err != nil {
			return err
		}
	}
	for _, b := range all {
		for _, d := range b.follow {
			if err := meet(d); err != nil {
				return fmt.Errorf("task %q, bound at %s, leads to task %q: %w", b.ID, b.Place, d.ID, err)
			}
		}
	}
	for id := range all {
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
