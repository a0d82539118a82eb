//go:build race

package workers_test

// sparing is by how much the longest tests do less: the race detector makes all
// five times as slow, and they are there to find more than races.
const sparing = 5
