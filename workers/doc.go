// Package workers runs attempts: it takes executions that are due from a store,
// runs the code bound to their tasks, records the outcomes and carries out what
// follows. It knows no server, and it does not decide when an execution may
// move: that is engine.Apply.
//
// Each duty is one file and one loop: claim.go takes executions, attempt.go runs
// one, closures.go tells parents of their children, by messages or, where one child is
// all that a parent waits for, without; cancels.go takes cancellations, lease.go keeps
// what is in hand, drain.go ends it all. PERFORMANCE.md says what it costs.
package workers
