// Package faults has tests and nothing else: executors and servers that are real
// processes, on loopback, and what may befall them. Every run writes a history, which
// [github.com/durable-execution/durable/engine/history.Check] judges; a failing one
// says where its history is kept, and durable history prints it.
//
//	go test ./workers/faults                              the short selection, about a minute
//	go test ./workers/faults -faults=10m -timeout 2h -v   everything, each random run for so long
//	go test ./workers/faults -faults=1m -seed=42          from a seed: what is struck and grown, not when
//	go test ./workers/faults -run Nightly -faults=30m -timeout 3h -v   all faults mixed, on one server and on three
//	go test ./workers/faults -run - -bench Recovery -benchtime 100x
//	go test ./workers/faults -run - -bench Cancel -benchtime 100x
//
// Real are the processes and their signals, the connections, the files, a disk that
// is full and clocks of the day that jump. A power failure is not tried.
package faults
