//go:build !race

package workers_test

const raced = false
