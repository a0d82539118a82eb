package workers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"sync"
	"time"
)

// unhealthyAfter is how many leases an executor may be unable to take work before it
// counts as unhealthy: by the first, others have taken over what it had in hand.
const unhealthyAfter = 3

// faulty is the part of a feed that tells what keeps it from delivering.
type faulty interface {
	Fault() (since time.Time, err error)
}

// health is what an executor knows of itself.
type health struct {
	mu     sync.Mutex
	feeds  map[string]faulty // nil before it runs
	ended  bool              // Run has returned
	result error             // what it returned
	closed error             // the store is: why
}

func (h *health) runs(feeds map[string]faulty) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.feeds = feeds
}

func (h *health) stopped(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ended, h.result = true, err
}

// lose notes that the store is closed. It reports false if that was known.
func (h *health) lose(reason error) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed != nil {
		return false
	}
	h.closed = reason
	return true
}

// lost returns why the store is closed; nil if it is not.
func (h *health) lost() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.closed
}

// abandon ends the attempt because the store is closed: nothing can be recorded of it, and
// its message comes to another executor after the lease.
func (a *attempt) abandon(reason error) {
	a.interrupt(reason, func(context.Context) error { return nil })
}

// What Health says of an executor that is not at work.
var (
	errNotRunning = errors.New("does not run yet")
	errStopped    = errors.New("has stopped")
)

// Health returns nil for an executor that is at work, or drains, and otherwise says what
// keeps it from its work: that Run has not come to claim anything yet, or has returned; that
// the store is closed; or that for three leases it has not been able to take work from
// one of its queues, or what belongs to it, since the server can't be reached or refuses. To
// start an unhealthy executor again costs nothing: others have what it had in hand.
func (x *Executor) Health() error {
	h := &x.health
	h.mu.Lock()
	feeds, ended, result, closed := h.feeds, h.ended, h.result, h.closed
	h.mu.Unlock()
	switch {
	case ended && result != nil:
		return fmt.Errorf("executor %s %w: %w", x.config.Name, errStopped, result)
	case ended:
		return fmt.Errorf("executor %s %w", x.config.Name, errStopped)
	case closed != nil:
		return fmt.Errorf("executor %s: %w", x.config.Name, closed)
	case feeds == nil:
		return fmt.Errorf("executor %s %w", x.config.Name, errNotRunning)
	case isClosed(x.stopping):
		return nil // nothing is taken any more, and what runs is to come to its end
	}
	most := unhealthyAfter * x.store.Limits().Lease
	for _, name := range slices.Sorted(maps.Keys(feeds)) {
		since, err := feeds[name].Fault()
		if long := time.Since(since); err != nil && long > most {
			return fmt.Errorf("executor %s has taken no %s for %s: %w", x.config.Name, name, long.Round(time.Second), err)
		}
	}
	return nil
}

// HealthHandler answers each request with what Health says: 200 while it is nil, 503
// otherwise, and a line of JSON with the executor's name, whether it is healthy, how many
// attempts run, and the error. It is for probes: it tells a stranger nothing but that, and
// asks for no password, so that it belongs on an address that strangers do not reach.
func (x *Executor) HealthHandler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		answer := struct {
			Executor string `json:"executor"`
			Healthy  bool   `json:"healthy"`
			Running  int    `json:"running"`
			Error    string `json:"error,omitempty"`
		}{Executor: x.config.Name, Healthy: true, Running: len(x.attempts.all())}
		status := http.StatusOK
		if err := x.Health(); err != nil {
			answer.Healthy, answer.Error, status = false, err.Error(), http.StatusServiceUnavailable
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(answer) // whoever asked has gone
	})
}
