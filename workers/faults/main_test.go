//go:build unix

package faults

import (
	"flag"
	"os"
	"testing"
	"time"

	"github.com/durable-execution/durable/jsstore/jstest"
)

var (
	long = flag.Duration("faults", 0, "run everything, each random run for so long; 0 is the short selection")
	seed = flag.Uint64("seed", 0, "what random runs are made from; 0 takes the time")
)

func TestMain(m *testing.M) {
	if os.Getenv("DURABLE_TEST_ROLE") == "" {
		// The tests wait for leases most of the time, so run many in parallel.
		_ = flag.Set("test.parallel", "6") // the command line overrides this
	}
	jstest.Main(m, map[string]jstest.Role{executorRole: runExecutor})
}

// onlyLong skips a test that is not in the short selection.
func onlyLong(t *testing.T) {
	t.Helper()
	if *long == 0 {
		t.Skip("takes -faults=1m, or as long as you like")
	}
}

// lasting returns how long a random run lasts.
func lasting(short time.Duration) time.Duration {
	if *long > 0 {
		return *long
	}
	return short
}
