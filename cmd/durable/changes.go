package main

import (
	"context"
	"iter"

	"github.com/durable-execution/durable/engine"
)

// changes yields an execution each time its record changes, from the time of the call until
// ctx ends; it then yields ctx's cause as an error. It covers the tree below root, or all
// trees if root is empty. [jsstore.Store.Changes] lists the changes that it leaves out.
func (s *store) changes(ctx context.Context, root string) (iter.Seq2[engine.Execution, error], error) {
	all, err := s.js.Scan().Changes(ctx, root)
	if err != nil {
		return nil, err
	}
	return func(yield func(engine.Execution, error) bool) {
		for r, err := range all {
			if !yield(r.Execution, err) {
				return
			}
		}
	}, nil
}

// nobodyExecutes is the error of a live view of a store that this process has open: no other
// process can open the store meanwhile, so no executor changes it.
func (a *app) nobodyExecutes() error {
	return &exitError{exitIncomplete, errNobody, a.command("list") + " lists the executions"}
}
