// Package workers runs attempts: it takes executions that are due from a store,
// runs the code bound to their tasks, records the outcomes and carries out what
// follows. It knows no server, and it does not decide when an execution may
// move: that is engine.Apply.
//
// Each duty is one file and one loop: claim.go takes executions, attempt.go runs
// one, closures.go and cancels.go take control messages, lease.go keeps what is
// in hand, drain.go ends it all.
package workers
