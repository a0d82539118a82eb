// Package engine is the API for programs that define, enqueue and run durable tasks.
//
// A task is a name with an input type, an output type and options. [Define] declares
// it, and [Task.Enqueue] stores an execution of it:
//
//	var Shout = engine.Define[string, string]("shout", engine.Retry{MaxRetries: 5, BaseDelay: time.Second})
//
//	handle, err := Shout.Enqueue(ctx, client, "hello") // durable once err is nil
//	out, err := handle.Wait(ctx)                       // the typed output
//
// A program that executes binds code to the task with [Bind] and passes the [Binding] to
// an executor (package workers); [NewClient] makes a client for a program that only
// enqueues. Both need a [Store]: package jsstore keeps executions in NATS JetStream, and
// package memstore keeps them in memory, for tests.
//
// # Kinds of tasks
//
//   - [Define] and [Bind]: a function.
//   - [BindParent]: a function that spawns children, which run in parallel, and a finalize
//     that receives their outcomes. [BindParentTask] takes the finalize as a task of its
//     own; [BindFanOut] has none.
//   - [BindSequence] with [Seq2] to [Seq6]: steps one after the other, each with the output of
//     the one before.
//   - [DefinePoll] and [BindPoll]: a function that runs repeatedly until it is done.
//   - [DefineSleeping]: no code; the execution waits until [SleepingTask.Wake].
//
// # Options
//
// [Retry], [Timeout], [Delay], [Queue], [ChildPolicy], [Encoding], [Retention] and
// [Metadata] apply where a task is defined, enqueued or spawned; the last one wins. [ID]
// names one execution, as an idempotency key. The defaults: a [Timeout] of 5 minutes, no
// retries, [FailFast], the queue "default", a retention of 7 days.
//
// # Errors
//
// Code that returns an error fails its attempt, and the [Retry] policy decides whether
// another attempt follows. [Permanent] prevents that, [RetryAfter] sets the delay.
// [Handle.Wait] returns an [*ExecutionError] for an execution that did not complete; its
// cause matches [ErrTimedOut], [ErrCancelled], [ErrInvalidInput] and [ErrPollLimit] with
// errors.Is. A finalize gets a [*ChildError] for a child that did not complete.
//
// # Running executions
//
// A [Handle] or [Client] gets, lists, cancels ([Client.Cancel]), starts again
// ([Client.Retry]) and deletes ([Client.Delete]) executions. Within an attempt, [FromContext]
// returns the execution's ids, the number of the attempt and a client.
//
// # Inside
//
// The rest of the package is for stores and executors. An [Execution] is a value. [Apply],
// a pure function, decides what it becomes when an [Event] happens, and which [Effect]
// values must follow. The package knows no server (it depends on the interface [Store]
// alone) and starts no goroutine that outlives a call.
package engine
