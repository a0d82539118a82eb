package rpc

import (
	"context"
	"sync"

	"github.com/nats-io/nats.go"
)

// answers collects the answers to many calls. One goroutine waits for them together: waking it
// up for each answer would cost more than the rest of the work.
type answers struct {
	requests *requests
	calls    []call

	mu     sync.Mutex
	list   []result // the answers, by the index of the call; the zero result until the answer has come
	count  int
	wanted int
	enough chan struct{} // of capacity 1: signals that the wanted number of answers has come
}

// newAnswers returns an answers for n calls that have not been sent yet.
func (r *requests) newAnswers(n int) *answers {
	a := &answers{requests: r, calls: make([]call, n), list: make([]result, n), enough: make(chan struct{}, 1)}
	for i := range a.calls {
		a.calls[i].all, a.calls[i].at = a, i
	}
	return a
}

func (a *answers) put(i int, g result) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.list[i] = g
	if a.count++; a.count == a.wanted {
		select {
		case a.enough <- struct{}{}:
		default: // the waiter gave up
		}
	}
}

// wait waits until n calls have been answered, or ctx ends.
func (a *answers) wait(ctx context.Context, n int) {
	a.mu.Lock()
	if a.count >= n {
		a.mu.Unlock()
		return
	}
	a.wanted = n
	a.mu.Unlock()
	select {
	case <-a.enough:
	case <-ctx.Done():
	}
}

// of returns the answer to call i as requests.wait does, but does not wait.
func (a *answers) of(ctx context.Context, i int) (*nats.Msg, error) {
	a.mu.Lock()
	g := a.list[i]
	a.mu.Unlock()
	if g != (result{}) {
		return g.m, g.err
	}
	a.requests.forget(a.calls[i].id)
	return nil, context.Cause(ctx)
}
