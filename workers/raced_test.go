//go:build race

package workers_test

// raced says that the race detector is on, under which all takes five times as long.
const raced = true
