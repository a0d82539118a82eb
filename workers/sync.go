package workers

import "sync"

// A mutex is a lock that may be held during calls of the store. A goroutine that waits for a
// sync.Mutex stops the clock of a synctest bubble; one that waits for this mutex does not.
// Few attempts ever wait, so the mutex allocates a condition only for a waiter.
type mutex struct {
	mu     sync.Mutex
	locked bool
	free   *sync.Cond // nil until somebody waits
}

func (m *mutex) lock() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for m.locked {
		if m.free == nil {
			m.free = sync.NewCond(&m.mu)
		}
		m.free.Wait()
	}
	m.locked = true
}

// tryLock reports whether it has locked m.
func (m *mutex) tryLock() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.locked {
		return false
	}
	m.locked = true
	return true
}

func (m *mutex) unlock() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.locked = false
	if m.free != nil {
		m.free.Signal()
	}
}

// A latch is an event that happens once and that goroutines can wait for, like the closing of
// a channel. The zero latch is not open yet. Few latches have a waiter, so a latch makes a
// channel only for the first one.
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
