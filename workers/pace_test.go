package workers

import (
	"testing"
	"time"
)

func TestPaceSpreadsWhatWaits(t *testing.T) {
	var p pace
	now := time.Now()
	const pause, gap, most = time.Second, 10 * time.Millisecond, 2 * time.Second
	for i := range 300 {
		want := min(pause+time.Duration(i)*gap, most)
		if got := p.after(now, pause, gap, most); got != want {
			t.Fatalf("message %d waits for %s, want %s", i, got, want)
		}
	}
	// However many messages there were, a later one does not wait longer than most.
	if got := p.after(now.Add(most), pause, gap, most); got != pause {
		t.Errorf("after all have come: %s, want %s", got, pause)
	}
}

// TestThousandsOfALaterVersionCostLittle counts how often 5,000 messages that no executor can read
// would be redelivered in an hour.
func TestThousandsOfALaterVersionCostLittle(t *testing.T) {
	const messages, executors = 5000, 4
	var paces [executors]pace
	due := make([]time.Time, messages)
	start := time.Now()
	for i := range due {
		due[i] = start
	}
	deliveries := 0
	for now := start; now.Before(start.Add(time.Hour)); now = now.Add(time.Second) {
		for i := range due {
			if due[i].After(now) {
				continue
			}
			deliveries++
			due[i] = now.Add(paces[i%executors].after(now, 30*time.Second, executors*time.Second/newerRate, newerMost))
		}
	}
	if perSecond := float64(deliveries) / 3600; perSecond > 45 {
		t.Errorf("%.0f deliveries a second, want %d", perSecond, newerRate)
	}
}
