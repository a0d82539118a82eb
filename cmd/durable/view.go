package main

import (
	"context"
	"time"

	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/jsstore/api"
)

// A view is an execution as --json prints it: the form of the API and, in a tree, the
// executions below it.
type view struct {
	api.Execution
	Children []*view `json:"children,omitempty"`
}

// viewOf returns an execution as lists show it.
func viewOf(x engine.Execution, lost engine.LostExecutors) *view {
	v := &view{Execution: api.View(x)}
	v.Lose(x, lost)
	return v
}

// fullViewOf returns an execution with its payloads and history. If its output is gathered from
// its children, fullViewOf gathers it.
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
