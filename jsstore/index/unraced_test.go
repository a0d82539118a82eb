//go:build !race

package index_test

const sparing = 1
