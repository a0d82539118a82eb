// Command peerbench runs the same workloads on durable and on its peers, one after
// the other on this machine, and prints tables for readers who compare before
// they choose:
//
//	cd cmd/peerbench && go run . -install
//
// It is a module of its own, so that nobody who uses durable inherits what the
// peers need. What a peer needs to run is installed with -install (Debian packages),
// or built from what the Go module proxy has, started on free ports of the loopback
// interface in a temporary directory, and ended again. What can't be had is a row that
// says why.
//
// How it is measured. A row is a system with one durability level, a column a
// workload. Each gets a service of its own, newly started on an empty directory, and
// a process of its own for the client, in which the workers run too. A workload is
// run with growing counts until a round takes the time asked for, which is the
// warm-up; then so many rounds of that count are run, and their medians shown. A
// round ends when the service says that every outcome is recorded, not when the
// workers' code has run. CPU time is that of the client's process, and of all
// processes of the service. What a round leaves in the store stays there for the next.
//
// All are given the same: inputs of about 300 bytes, 64 callers where inserts are
// single ones, 1,000 tasks a call where they are in bulk. Workers, pools and poll
// intervals are those that the documentation of each recommends, and where that, or
// its own benchmark, has some for throughput, those; each peer's file says which.
package main
