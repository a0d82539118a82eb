//go:build !race

package workers_test

const sparing = 1
