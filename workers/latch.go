package workers

import "sync"

// A latch is opened once. The zero latch is shut. It makes a channel only for who
// waits for it, since hardly anybody does.
type latch struct {
	mu     sync.Mutex
	opened bool
	c      chan struct{}
}

func (l *latch) open() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.opened = true; l.c != nil {
		close(l.c)
	}
}

func (l *latch) isOpen() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.opened
}

// wait returns a channel that is closed once the latch is open.
func (l *latch) wait() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.c == nil {
		if l.c = make(chan struct{}); l.opened {
			close(l.c)
		}
	}
	return l.c
}
