package engine

import (
	"testing"
	"time"
)

func TestForeignMessageTriesOthersBeforeItWaits(t *testing.T) {
	for _, c := range []struct {
		name string
		f    Foreign
		want time.Duration
	}{
		{"unknown count", Foreign{}, 0},
		{"first", Foreign{Deliveries: 1}, 0},
		{"second", Foreign{Deliveries: 2}, 0},
		{"nobody can", Foreign{Deliveries: 3}, 100 * time.Millisecond},
		{"nobody can, though others are there", Foreign{Deliveries: 3, Present: 9}, 100 * time.Millisecond},
		{"nobody can for long", Foreign{Deliveries: 40}, 30 * time.Second},
		{"it is not known yet who can", Foreign{Deliveries: 3, Asked: true}, 5 * time.Millisecond},
		{"the other one can", Foreign{Deliveries: 8, Present: 1, Capable: 1}, 0},
		{"the other one is busy", Foreign{Deliveries: 9, Present: 1, Capable: 1}, 5 * time.Millisecond},
		{"the other one is busy for long", Foreign{Deliveries: 1000, Present: 1, Capable: 1}, 250 * time.Millisecond},
		{"one of ten can", Foreign{Deliveries: 40, Present: 9, Capable: 1}, 0},
		{"one of thousands can", Foreign{Deliveries: 65, Present: 5000, Capable: 1}, 5 * time.Millisecond},
	} {
		if got := c.f.Delay(); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

// TestForeignMessageHasFewDeliveries counts deliveries of one message in an hour.
func TestForeignMessageHasFewDeliveries(t *testing.T) {
	for _, c := range []struct {
		name             string
		present, capable int
		most             int
	}{
		{"nobody can", 9, 0, 2 + 15 + 120},
		{"the capable one is busy all the time", 9, 1, 64 + 10 + 4*3600},
	} {
		n := 0
		for passed := time.Duration(0); passed < time.Hour; n++ {
			passed += Foreign{Deliveries: n + 1, Present: c.present, Capable: c.capable}.Delay()
		}
		if n > c.most {
			t.Errorf("%s: %d deliveries in an hour, want %d at most", c.name, n, c.most)
		}
	}
}
