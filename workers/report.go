package workers

import (
	"context"
	"log/slog"

	"github.com/durable-execution/durable/engine"
)

// The log tells an operator how attempts ended. The executor that records a failure logs one
// line for it, once the record is durable.
//
//	WARN   attempt failed: trying again
//	WARN   executor lost in the middle of an attempt: trying again
//	ERROR  execution failed (also timed out, its children, its finalize, lost too often)
//	INFO   execution cancelled (DEBUG if its parent had finished)
const (
	attemptFailed      = "attempt failed: trying again"
	executorLost       = "executor lost in the middle of an attempt: trying again"
	executionFailed    = "execution failed"
	executionCancelled = "execution cancelled"
)

// move is [engine.Move], and logs the failure that it records.
func (x *Executor) move(ctx context.Context, r engine.Record, events ...engine.Event) (engine.Record, []engine.Effect, error) {
	next, fx, err := engine.Move(ctx, x.store, r, events...)
	if err == nil {
		x.report(&r.Execution, &next.Execution, events...)
	}
	return next, fx, err
}

// modify is [engine.Modify], and logs the failure that it records.
func (x *Executor) modify(ctx context.Context, r engine.Record, ev engine.Event) (engine.Record, []engine.Effect, error) {
	next, fx, err := engine.Modify(ctx, x.store, r, ev)
	if err == nil {
		x.report(&r.Execution, &next.Execution, ev)
	}
	return next, fx, err
}

// report logs the failure that a write has recorded, if any. It does not log a cancellation that
// a caller asked for: see reportCancel.
func (x *Executor) report(was, is *engine.Execution, events ...engine.Event) {
	if r, ok := events[len(events)-1].(engine.Returned); ok {
		x.gaps.leads(is.Task, r.Children, x.bindings)
	}
	switch {
	case was.Status.Finished(): // its end is logged already
	case is.Status == engine.Completed:
	case is.Status == engine.Cancelled:
		if _, asked := events[len(events)-1].(engine.CancelRequested); !asked {
			x.log.Info(executionCancelled, failureFields(is)...)
		}
	case is.Status.Finished():
		x.log.Error(executionFailed, failureFields(is)...)
	case is.Crashes > was.Crashes:
		x.log.Warn(executorLost, append(failureFields(is), "lost", was.Executor, "crashes", is.Crashes)...)
	case is.Attempt > was.Attempt:
		failed := *is
		failed.Attempt = was.Attempt
		x.log.Warn(attemptFailed, append(failureFields(&failed), "retries", is.Policy.Retry.MaxRetries, "next", is.StartAt)...)
	}
}

// failureFields returns the log fields of an execution whose attempt has failed. Attempts count
// from 0, as in the record.
func failureFields(y *engine.Execution) []any {
	fields := []any{"task", y.Task, "execution", y.ID, "attempt", y.Attempt}
	if y.Status.Finished() {
		fields = append(fields, "status", string(y.Status))
	}
	if y.Queue != engine.DefaultQueue {
		fields = append(fields, "queue", y.Queue)
	}
	if root := y.Root(); root != y.ID {
		fields = append(fields, "root", root)
	}
	if f := y.Failure; f != nil {
		fields = append(fields, "kind", string(f.Kind), "error", f.Message)
		if f.Stack != "" {
			fields = append(fields, "stack", f.Stack)
		}
	}
	return fields
}

// reportCancel logs that an execution was cancelled, once the cancellation is acknowledged.
func (x *Executor) reportCancel(y *engine.Execution, c engine.Cancel) {
	level := slog.LevelInfo
	if c.Parent != "" {
		level = slog.LevelDebug // the end of the parent is logged already
	}
	x.log.Log(context.Background(), level, executionCancelled, "task", y.Task, "execution", y.ID, "reason", c.Reason)
}

// reportWake logs that a sleeping execution was woken with an error, if the waker has written the
// record.
func (x *Executor) reportWake(y *engine.Execution, w *engine.Closure) {
	if y.Status == engine.Failed && y.Failure != nil && y.Failure.Message == w.Message {
		x.log.Error(executionFailed, failureFields(y)...)
	}
}
