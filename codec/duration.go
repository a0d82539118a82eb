package codec

import (
	"math"
	"time"
)

// MaxMillis is the longest time.Duration in whole milliseconds, some 292 years.
const MaxMillis = math.MaxInt64 / int64(time.Millisecond)

// Millis returns a duration of n milliseconds, the unit of durations on the wire. If
// time.Duration can't hold that, Millis returns the nearest duration that it can hold,
// and false.
func Millis(n int64) (time.Duration, bool) {
	held := max(-MaxMillis, min(n, MaxMillis))
	return time.Duration(held) * time.Millisecond, held == n
}
