//go:build !race

package semantics_test

const sparing = 1
