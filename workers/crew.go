package workers

// A crew runs work in goroutines that are kept for the next: the stack of a new one
// is small and grows, by copying, with each short attempt that it runs.
type crew struct {
	work chan func() // to who has nothing to do
	over chan struct{}
}

func newCrew() *crew { return &crew{work: make(chan func()), over: make(chan struct{})} }

// do has fn run at once: by somebody who has nothing to do, or by somebody new.
func (c *crew) do(fn func()) {
	select {
	case c.work <- fn:
	default:
		go c.join(fn)
	}
}

func (c *crew) join(fn func()) {
	for {
		fn()
		select {
		case fn = <-c.work:
		case <-c.over:
			return
		}
	}
}

// dismiss lets go of all who have nothing to do, and of the others when they have done.
func (c *crew) dismiss() { close(c.over) }
