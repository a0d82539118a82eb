// Package history records what clients and executors saw in a run of a fault test, and checks
// it against the promises of the engine: see [Check]. It knows executions and their outcomes.
// Of servers and processes it knows only the names in the events.
package history
