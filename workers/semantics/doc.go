// Package semantics has no code. Its tests check the rules of engine/SEMANTICS.md with executors on
// memstore and on JetStream, mostly in fake time. The harness is in harness_test.go and tap_test.go.
package semantics
