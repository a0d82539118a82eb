// Package history holds what clients and executors saw of a run, and checks it
// against what the engine promises: see [Check]. It knows executions and their
// outcomes; it knows nothing of servers or processes but the names that events
// give them.
package history
