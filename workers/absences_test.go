package workers

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// Any client that may call the roll can say that executors are missed. What it says must not
// fill the memory of the executors that hear it.
func TestMissedNamesAreBounded(t *testing.T) {
	a := absences{keep: time.Minute}
	now := time.Now()
	long := strings.Repeat("x", longestName+1)
	for i := range 3 * mostAbsent {
		a.note([]string{long, fmt.Sprint("executor-", i)}, now)
	}
	if n := len(a.list); n != mostAbsent {
		t.Errorf("%d names, want %d", n, mostAbsent)
	}
	if since := a.of([]string{long, "executor-0"}, now); len(since) != 1 || !since["executor-0"].Equal(now) {
		t.Errorf("since = %v, want executor-0 alone, since %s", since, now)
	}
	later := now.Add(a.keep + time.Second)
	a.note([]string{"new"}, later)
	if since := a.of([]string{"new", "executor-0"}, later); len(since) != 1 || !since["new"].Equal(later) {
		t.Errorf("since = %v, want new alone: nobody has asked about the others for longer than %s", since, a.keep)
	}
}
