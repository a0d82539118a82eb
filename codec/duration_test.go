package codec

import (
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestMillisSaturates(t *testing.T) {
	const most = time.Duration(MaxMillis) * time.Millisecond
	for _, c := range []struct {
		n    int64
		want time.Duration
		fits bool
	}{
		{0, 0, true},
		{1500, 1500 * time.Millisecond, true},
		{-1, -time.Millisecond, true},
		{MaxMillis, most, true},
		{MaxMillis + 1, most, false},
		{-MaxMillis - 1, -most, false},
		{math.MaxInt64, most, false},
		{math.MinInt64, -most, false},
	} {
		if got, fits := Millis(c.n); got != c.want || fits != c.fits {
			t.Errorf("Millis(%d) = %s, %t, want %s, %t", c.n, got, fits, c.want, c.fits)
		}
	}
}

func TestMillisNeverWrapsAround(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := rapid.Int64().Draw(t, "a"), rapid.Int64().Draw(t, "b")
		da, fits := Millis(a)
		db, _ := Millis(b)
		if a < b && da > db {
			t.Errorf("%d < %d milliseconds, but %s > %s", a, b, da, db)
		}
		if fits && da.Milliseconds() != a {
			t.Errorf("Millis(%d) = %s", a, da)
		}
	})
}
