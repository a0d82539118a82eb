package engine

import "time"

// A Foreign is a message that its executor can't act on, but another might: the executor
// has no binding for the task, lacks the key of the input, or can't read the input or the
// version of the record. The executor hands it back.
type Foreign struct {
	// Deliveries counts how often the message has been delivered, from 1.
	Deliveries int
	// Present counts the other executors of the queue, and Capable the executors among them
	// that can act on this message, according to the latest roll call.
	Present, Capable int
	// Asked says that the first roll call is still running, so that the counts are not
	// known yet.
	Asked bool
}

const (
	// foreignAtOnce is how many deliveries are always handed back without a delay. The server
	// alternates between the executors of a queue: if there are two, the other one is next.
	foreignAtOnce = 2
	// foreignTurns is how often each executor may get the message before delays begin, if
	// a capable executor is known: the server does not alternate strictly.
	foreignTurns = 4
	// foreignMost limits the deliveries without a delay, however large the fleet is.
	foreignMost = 64
)

var (
	// If no executor is capable, thousands of messages may wait for a deploy: in the end
	// each costs a delivery every 30 s. With a multiplier of 2, if half of the fleet is
	// capable, one message in a few hundred would wait 30 s for nothing.
	foreignWait = Retry{BaseDelay: 100 * time.Millisecond, Multiplier: 1.5, MaxDelay: 30 * time.Second}
	// If a capable executor has no free slot, the message arrives soon after a slot is free.
	foreignBusy = Retry{BaseDelay: 5 * time.Millisecond, Multiplier: 1.5, MaxDelay: 250 * time.Millisecond}
)

// Delay returns how long the message waits before its next delivery. The first deliveries
// have no delay; then the delay grows, up to 250 ms if an executor is capable, and up to
// 30 s if no capable executor is known.
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

// ForeignDelay returns the delay of a message if only the number of its deliveries is known.
func ForeignDelay(deliveries int) time.Duration { return Foreign{Deliveries: deliveries}.Delay() }
