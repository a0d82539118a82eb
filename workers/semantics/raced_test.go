//go:build race

package semantics_test

// sparing divides the work of the longest tests: the race detector makes everything five times as
// slow, and these tests mainly look for other errors than races.
const sparing = 5
