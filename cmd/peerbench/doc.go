// Command peerbench runs the same workloads on durable and on its peers, one after the other on
// this machine, and prints tables for readers who compare them:
//
//	cd cmd/peerbench && go run . -install
//
// It is a separate module, so that users of durable do not inherit the dependencies of the peers.
// With -install it installs the services of the peers (Debian packages), or builds them from the
// Go module proxy. It starts each service on free ports of the loopback interface in a temporary
// directory, and stops it at the end. If a service is not available, the row says why.
//
// How it measures. A row is a system with one durability level; a column is a workload. Each
// pair gets its own service, newly started on an empty directory, and its own process for the
// client, in which the workers run too. The warm-up runs the workload with growing counts until
// a round takes the requested time. Then peerbench runs the rounds with that count, and shows
// their medians. A round ends when the service says that every outcome is recorded, not when the
// workers' code has run. CPU time covers the client's process, and all processes of the service.
// The data that a round leaves in the store stays there during the next round.
//
// All systems get the same load: inputs of about 300 bytes, 64 callers for single inserts, 1,000
// tasks per call for bulk inserts. Workers, pools and poll intervals follow the recommendations
// in the documentation of each system. If the documentation, or the system's own benchmark, has
// settings for throughput, peerbench uses those. The file of each peer says which.
package main
