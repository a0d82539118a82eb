//go:build race

package index_test

// sparing is by how much the longest tests do less: the race detector makes SQLite
// many times slower.
const sparing = 5
