package engine

import "context"

// A Timekeeper is a store whose timers may stay where they are when their time has come,
// and which can be told to look. It is more than a [Store] has to be: executors ask
// whether theirs is one, and have it look now and then.
type Timekeeper interface {
	// FireOverdue has timers fire whose time was seconds ago, and returns how many. Any
	// number of processes may call it as often as they like: one of them looks, the more
	// rarely the more there is to look at.
	FireOverdue(ctx context.Context) (int, error)
}
