package main

import (
	"context"
	"time"

	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/jsstore/api"
)

// A view is an execution as --json prints it: as the API tells of it, and in a tree
// with those below it.
type view struct {
	api.Execution
	Children []*view `json:"children,omitempty"`
}

// viewOf is an execution as lists show it.
func viewOf(x engine.Execution, lost engine.LostExecutors) *view {
	v := &view{Execution: api.View(x)}
	v.Lose(x, lost)
	return v
}

// fullViewOf is an execution with all that is known of it. The output is the one
// that others see, which may have to be gathered from its children.
func fullViewOf(ctx context.Context, s engine.Store, x engine.Execution) (*view, error) {
	v, err := api.Whole(ctx, s, x)
	return &view{Execution: v}, err
}

func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}
