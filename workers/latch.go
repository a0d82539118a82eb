package workers

import "sync"

// A turn is a mutex that is held as long as a store does not answer. Whoever waits for a
// sync.Mutex stops the clock of a synctest bubble; who waits for a turn does not. It has
// no channel to make for each attempt, since hardly anybody waits.
type turn struct {
	mu   sync.Mutex
	held bool
	free *sync.Cond // nil as long as nobody waits
}

func (t *turn) lock() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for t.held {
		if t.free == nil {
			t.free = sync.NewCond(&t.mu)
		}
		t.free.Wait()
	}
	t.held = true
}

// tryLock reports whether it has locked t.
func (t *turn) tryLock() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.held {
		return false
	}
	t.held = true
	return true
}

func (t *turn) unlock() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.held = false
	if t.free != nil {
		t.free.Signal()
	}
}

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
