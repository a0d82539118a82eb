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
	// Lost is the executor that runs it, if that does not answer.
	Lost *lostExecutor `json:"lostExecutor,omitempty"`
}

// lose notes that an execution's executor is lost, if it is.
func (v *view) lose(x engine.Execution, lost missing) {
	if lost.has(x) {
		v.Lost, v.Display = lost.executors[x.Executor], x.Display(time.Now(), true)
	}
}

// viewOf is an execution as lists show it.
func viewOf(x engine.Execution) *view { return &view{Execution: api.View(x)} }

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
