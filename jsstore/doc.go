// Package jsstore keeps executions in NATS JetStream. It knows subjects and
// revisions; it does not know when an execution may move. That is engine.Apply.
//
// A namespace is three streams and a key-value bucket: ready messages, timers,
// control messages, records. The layout is in one file, layout.go.
package jsstore
