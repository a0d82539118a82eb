package engine

import "context"

// A Timekeeper is a store whose due timers may get stuck, and which can be told to fire them.
// A [Store] need not implement it: executors check whether theirs does, and then call it
// periodically.
type Timekeeper interface {
	// FireOverdue fires timers that are overdue by seconds, and returns how many it fired.
	// Any number of processes may call it as often as they like: only one of them scans, and
	// the more timers there are, the less often.
	FireOverdue(ctx context.Context) (int, error)
}
