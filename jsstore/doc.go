// Package jsstore keeps executions in NATS JetStream. It knows subjects and
// revisions; it does not know when an execution may move. That is engine.Apply.
//
// A namespace is three streams and a key-value bucket: ready messages, timers, control messages,
// records. The store is built on four internal packages: layout has every name, rpc talks to the
// server, message reads and writes messages, namespace has what the store shares with the packages
// [github.com/durable-execution/durable/jsstore/scan] and
// [github.com/durable-execution/durable/jsstore/doctor].
package jsstore
