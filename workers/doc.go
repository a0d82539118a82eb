// Package workers runs attempts: an [Executor] claims due executions from a store, runs the code
// that is bound to their tasks, records the outcomes and carries out the effects. The package
// knows no server, and it does not decide when an execution may move: engine.Apply does.
//
// Each duty has one file and one loop. claim.go claims executions and attempt.go runs an
// attempt. closures.go records in parents that their children have finished; an only child
// needs no message for that. cancels.go carries out cancellations, expiries.go removes trees,
// lease.go extends leases, and drain.go shuts down. PERFORMANCE.md has the costs.
package workers
