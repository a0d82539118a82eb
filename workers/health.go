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

// unhealthyAfter is how many leases an executor may be unable to receive messages before it
// counts as unhealthy. After the first lease, other executors have its messages.
const unhealthyAfter = 3

// faulty is the part of a feed that says what prevents it from delivering.
type faulty interface {
	Fault() (since time.Time, err error)
}

// health holds the facts that decide whether an executor is healthy.
type health struct {
	mu     sync.Mutex
	feeds  map[string]faulty // by name; nil until Run has opened all of them
	ended  bool              // Run has returned
	result error             // the error that Run returned
	closed error             // why the store is closed; nil if it is not
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

// lose notes that the store is closed. It returns false if that was known already.
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

// abandon ends the attempt because the store is closed. It records nothing. Another executor
// gets the message after the lease.
func (a *attempt) abandon(reason error) {
	a.interrupt(reason, func(context.Context) error { return nil })
}

// The errors of Health for an executor that does not run.
var (
	errNotRunning = errors.New("does not run yet")
	errStopped    = errors.New("has stopped")
)

// Health returns nil for an executor that works or drains. Otherwise it returns an error that
// says why the executor does not work: Run has not opened its feeds yet, or has returned; the
// store is closed; or for three leases the executor has not been able to receive messages from
// one of its queues or of another feed, because the server can't be reached or refuses.
// Restarting an unhealthy executor loses no work: by then, other executors have its messages.
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
		return nil // it claims nothing any more, but running attempts must be allowed to finish
	}
	most := unhealthyAfter * x.store.Limits().Lease
	for _, name := range slices.Sorted(maps.Keys(feeds)) {
		since, err := feeds[name].Fault()
		if long := time.Since(since); err != nil && long > most {
			return fmt.Errorf("executor %s has received nothing from %s for %s: %w", x.config.Name, name, long.Round(time.Second), err)
		}
	}
	return nil
}

// HealthHandler returns a handler for probes. It answers each request with status 200 if Health
// returns nil and with 503 otherwise, and with one line of JSON: the executor's name, whether
// it is healthy, how many attempts run, and the error. It asks for no password, so serve it
// only on an address that strangers can't reach.
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
		_ = json.NewEncoder(w).Encode(answer) // an error means that the caller has gone
	})
}
