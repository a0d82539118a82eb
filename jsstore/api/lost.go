package api

import (
	"context"

	"github.com/durable-execution/durable/engine"
)

// A LostExecutor is an executor that runs executions by their records and does not answer
// roll calls, as JSON has it. Times are milliseconds since the epoch.
type LostExecutor struct {
	Executor string `json:"executor"`
	// Running counts the executions that it runs, of those in the answer.
	Running int `json:"running"`
	// SilentSince is when it last answered or, where nobody knows that, was first missed.
	SilentSince int64 `json:"silentSince,omitempty"`
	// TakenOverBy is when other executors get its executions at the latest; left out if no
	// executor is there that could run one.
	TakenOverBy int64 `json:"takenOverBy,omitempty"`
}

// LostView returns a lost executor as JSON has it; nil for nil.
func LostView(l *engine.Lost) *LostExecutor {
	if l == nil {
		return nil
	}
	return &LostExecutor{Executor: l.Executor, Running: l.Running, SilentSince: millis(l.SilentSince), TakenOverBy: millis(l.TakenOverBy)}
}

// LostViews returns lost executors as JSON has them, by name.
func LostViews(lost engine.LostExecutors) []*LostExecutor {
	var list []*LostExecutor
	for _, l := range lost.All() {
		list = append(list, LostView(l))
	}
	return list
}

// Lose notes in the queues what lost executors hold, which is in hand until it is taken
// over. Call it after Count.
func (q *Queues) Lose(lost engine.LostExecutors) {
	q.Lost = LostViews(lost)
	for i := range q.Queues {
		one := &q.Queues[i]
		for _, l := range lost {
			one.InHand = min(one.InHand+l.Queues[one.Queue], one.InFlight)
		}
	}
}

// lost returns which executors of those that run executions of the list are lost: none
// where it can't be told.
func (s *Service) lost(ctx context.Context, list []engine.Execution) engine.LostExecutors {
	lost, err := s.lookout.Find(ctx, list)
	if err != nil {
		return nil // a view without it is better than none
	}
	return lost
}

// fleetLost calls the roll, and looks which executors are lost of all that run something.
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
