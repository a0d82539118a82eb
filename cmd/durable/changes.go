package main

import (
	"context"
	"iter"

	"github.com/durable-execution/durable/engine"
)

// changes returns the executions of a tree, or of all, whose records change from the
// time it returns on, until ctx ends, whose cause is then the last error. See
// [jsstore.Store.Changes] for what it leaves out.
func (s *store) changes(ctx context.Context, root string) (iter.Seq2[engine.Execution, error], error) {
	all, err := s.js.Changes(ctx, root)
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

// nobodyExecutes is why there is nothing to follow in a store of this process: nobody
// else can open it while it is looked at.
func (a *app) nobodyExecutes() error {
	return &exitError{exitIncomplete, errNobody, a.command("list") + " lists the executions"}
}
