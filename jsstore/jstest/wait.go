package jstest

import (
	"testing"
	"time"
)

// patience is how long a test waits for anything in real time. It is reached only if something
// is wrong.
const patience = time.Minute

// await polls until ok returns true; what describes that in words.
func await(t testing.TB, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	over := time.NewTimer(patience)
	defer over.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-over.C:
			t.Fatalf("waited %s until %s", patience, what)
		}
	}
}
