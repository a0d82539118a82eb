package engine

import "time"

// A Foreign is a message that the executor which got it leaves to others: it does not
// bind the task, lacks the key of the input, can't read the input or the version that
// wrote the record. It is given back for another executor.
type Foreign struct {
	// Deliveries counts how often the message has been delivered, from 1.
	Deliveries int
	// Present counts the other executors that take such messages, and Capable those of
	// them that can act on this one, by the roll call.
	Present, Capable int
	// Asked says that the roll is being called for the first time: it is not known yet who
	// is there.
	Asked bool
}

const (
	// foreignAtOnce is how often a message goes back at once whatever is known. The
	// server asks the executors of a queue in turn, so that of two the other is next.
	foreignAtOnce = 2
	// foreignTurns is how often each executor may be asked before pauses begin, where
	// one is known to be capable: the turns are not strict.
	foreignTurns = 4
	// foreignMost bounds the deliveries without a pause in a fleet of any size.
	foreignMost = 64
)

var (
	// Where nobody can, thousands that wait for a deploy cost a delivery each half
	// minute in the end. Were the pause twice as long each time, one in a few hundred
	// would wait half a minute for nothing in a fleet of which half can take it.
	foreignWait = Retry{BaseDelay: 100 * time.Millisecond, Multiplier: 1.5, MaxDelay: 30 * time.Second}
	// Where somebody can, but has no slot free, the message is there soon after it has.
	foreignBusy = Retry{BaseDelay: 5 * time.Millisecond, Multiplier: 1.5, MaxDelay: 250 * time.Millisecond}
)

// Delay returns how long the message waits before it is delivered again: not at all
// while there is somebody to try, then longer each time, 250 ms at most where an
// executor is capable and 30 s where none is known to be.
func (f Foreign) Delay() time.Duration {
	n := max(f.Deliveries, 1) - f.atOnce()
	if f.Capable > 0 || f.Asked {
		return foreignBusy.Delay(n, 0)
	}
	return foreignWait.Delay(n, 0)
}

func (f Foreign) atOnce() int {
	if f.Capable == 0 {
		return foreignAtOnce
	}
	return min(max(foreignTurns*(f.Present+1), foreignAtOnce), foreignMost)
}

// ForeignDelay is the delay of a message of which nothing but its deliveries is known.
func ForeignDelay(deliveries int) time.Duration { return Foreign{Deliveries: deliveries}.Delay() }
