//go:build race

package index_test

// sparing divides the work of the longest tests: the race detector makes SQLite many times
// slower.
const sparing = 5
