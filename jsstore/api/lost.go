package api

import (
	"context"

	"github.com/durable-execution/durable/engine"
)

// A LostExecutor is an [engine.Lost] in JSON: an executor that runs executions, according to their
// records, but does not answer roll calls. Times are milliseconds since the epoch.
type LostExecutor struct {
	Executor string `json:"executor"`
	// Running is how many executions of the answer it runs.
	Running int `json:"running"`
	// SilentSince is when it last answered or, if that is unknown, when a caller first missed it.
	SilentSince int64 `json:"silentSince,omitempty"`
	// TakenOverBy is the latest time at which other executors get its executions. It is left
	// out if no executor that answers could run one of them.
	TakenOverBy int64 `json:"takenOverBy,omitempty"`
}

// LostView returns a lost executor in JSON form; nil for nil.
func LostView(l *engine.Lost) *LostExecutor {
	if l == nil {
		return nil
	}
	return &LostExecutor{Executor: l.Executor, Running: l.Running, SilentSince: millis(l.SilentSince), TakenOverBy: millis(l.TakenOverBy)}
}

// LostViews returns lost executors in JSON form, sorted by name.
func LostViews(lost engine.LostExecutors) []*LostExecutor {
	var list []*LostExecutor
	for _, l := range lost.All() {
		list = append(list, LostView(l))
	}
	return list
}

// Lose adds the lost executors. It counts their executions as in hand, until other executors take
// them over. Call it after Count.
func (q *Queues) Lose(lost engine.LostExecutors) {
	q.Lost = LostViews(lost)
	for i := range q.Queues {
		one := &q.Queues[i]
		for _, l := range lost {
			one.InHand = min(one.InHand+l.Queues[one.Queue], one.InFlight)
		}
	}
}

// lost returns the lost executors among those that run executions of the list. If the roll call
// fails it returns none.
func (s *Service) lost(ctx context.Context, list []engine.Execution) engine.LostExecutors {
	lost, err := s.lookout.Find(ctx, list)
	if err != nil {
		return nil // a view without them is better than no view
	}
	return lost
}

// fleetLost calls the roll, and returns the answers and the lost executors among all that run
// executions.
func (s *Service) fleetLost(ctx context.Context) ([]engine.Answer, engine.LostExecutors, error) {
	present, err := s.Store.RollCall(ctx, engine.RollCall{})
	if err != nil || s.Running == nil {
		return present, nil, err
	}
	running, err := s.Running(ctx)
	if err != nil {
		return present, nil, nil // as above
	}
	lost, err := s.lookout.FindAmong(ctx, running, present)
	if err != nil {
		return present, nil, nil // as above
	}
	return present, lost, nil
}
