// Package faults has tests and nothing else: executors and servers that are real
// processes, on loopback, and what may befall them. Every run writes a history, which
// [github.com/durable-execution/durable/engine/history.Check] judges; a failing one
// says where its history is kept, and durable history prints it.
//
//	go test -run Fault ./workers/faults                        the short selection, under a minute
//	go test -run Fault ./workers/faults -faults=10m -v         everything, each random run for so long
//	go test -run Fault ./workers/faults -faults=1m -seed=42    from a seed
//	go test -run - -bench . ./workers/faults                   recovery and cancellation in figures
package faults
