package api

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"

	"github.com/durable-execution/durable/engine"
)

// Queues are the queues of a namespace.
type Queues struct {
	Queues []Queue `json:"queues"`
	// Unserved counts the executions in queues that no executor has ever served.
	Unserved uint64 `json:"unserved"`
	// Later counts what waits for its time: delayed executions of all queues, and trees that
	// wait for the end of their retention.
	Later uint64 `json:"later"`
	// Lost are executors that records name and that do not answer.
	Lost []*LostExecutor `json:"lostExecutors,omitempty"`
}

// A Queue is a queue that an executor serves, or has served.
type Queue struct {
	Queue string `json:"queue"`
	// Ready counts the executions that no executor has taken yet, InFlight those that executors
	// hold.
	Ready    uint64 `json:"ready"`
	InFlight int    `json:"inFlight"`
	// OldestAt is when the oldest of these executions was enqueued or, if it was delayed,
	// became due. It is in milliseconds since the epoch, zero if there is none. OldestMS is how
	// long ago that was.
	OldestAt int64 `json:"oldestAt,omitempty"`
	OldestMS int64 `json:"oldestMs"`
	// Paused says that executors take nothing until PausedUntil. PauseReason says why, if a
	// reason was given.
	Paused      bool   `json:"isPaused"`
	PausedUntil int64  `json:"pausedUntil,omitempty"`
	PauseReason string `json:"pauseReason,omitempty"`
	// MaxInFlight is the limit for InFlight in the whole fleet; -1 means no limit.
	MaxInFlight int `json:"maxInFlight"`
	// Executors counts the executors that serve the queue now.
	Executors int `json:"executors"`
	// InHand counts the executions that these executors hold, and those of lost executors.
	// Unlike InFlight it leaves out executions that they have just returned for a moment. It
	// equals InFlight if one of the executors does not report its executions.
	InHand int `json:"inHand"`
}

// none is a request without fields.
type none struct{}

func (s *Service) queues(ctx context.Context, _ none) (Queues, error) {
	q, err := s.Queues(ctx)
	if err != nil {
		return q, err
	}
	present, lost, err := s.fleetLost(ctx)
	if err != nil {
		return q, err
	}
	q.Count(present)
	q.Lose(lost)
	return q, nil
}

// Count counts, for each queue, which of the executors that are present serve it.
func (q *Queues) Count(present []engine.Answer) {
	if q.Queues == nil {
		q.Queues = []Queue{} // an empty list in JSON, not null
	}
	for i := range q.Queues {
		one := &q.Queues[i]
		one.Executors, one.InHand = 0, 0
		all := true
		for _, a := range present {
			if a.Serves(one.Queue) {
				one.Executors++
				all = all && a.Held != nil
			}
			one.InHand += a.Held[one.Queue]
		}
		if one.InHand = min(one.InHand, one.InFlight); !all {
			one.InHand = one.InFlight
		}
	}
}

// Tasks are the tasks for which executors have code.
type Tasks struct {
	Tasks []Task `json:"tasks"`
	// Cut says that schemas or tasks are left out because the answer has no room for them.
	Cut bool `json:"isCut,omitempty"`
}

// A Task is a task as some executors have bound it. If executors disagree on its types, there
// are several with the same id.
type Task struct {
	engine.BoundTask
	Executors []string `json:"executors"`
	// Queues are the queues that these executors serve.
	Queues []string `json:"queues"`
}

func (s *Service) tasks(ctx context.Context, _ none) (Tasks, error) {
	present, err := s.Store.RollCall(ctx, engine.RollCall{Schemas: true})
	if err != nil {
		return Tasks{}, err
	}
	a := TasksOf(present)
	if data, err := marshal(a); err == nil && len(data) > s.room() {
		a.Cut = true
		for i := range a.Tasks {
			a.Tasks[i].InputSchema, a.Tasks[i].OutputSchema = nil, nil
		}
	}
	return a, nil
}

// TasksOf returns the tasks of the executors that are present, sorted by id.
func TasksOf(present []engine.Answer) Tasks {
	a := Tasks{Tasks: []Task{}}
	type key struct{ id, fingerprint string }
	index := map[key]int{}
	for _, p := range present {
		a.Cut = a.Cut || p.Cut
		for _, t := range p.Tasks {
			k := key{t.ID, t.Fingerprint}
			i, ok := index[k]
			if !ok {
				i = len(a.Tasks)
				index[k] = i
				a.Tasks = append(a.Tasks, Task{BoundTask: t, Queues: []string{}})
			}
			found := &a.Tasks[i]
			if found.InputSchema == nil { // the first one's answer may have been cut
				found.InputSchema, found.OutputSchema = t.InputSchema, t.OutputSchema
			}
			found.Queue = cmp.Or(found.Queue, t.Queue)
			found.Executors = append(found.Executors, p.Executor)
			for q := range p.Queues {
				if !slices.Contains(found.Queues, q) {
					found.Queues = append(found.Queues, q)
				}
			}
		}
	}
	for _, t := range a.Tasks {
		slices.Sort(t.Executors)
		slices.Sort(t.Queues)
	}
	slices.SortFunc(a.Tasks, func(x, y Task) int {
		return cmp.Or(cmp.Compare(x.ID, y.ID), cmp.Compare(x.Fingerprint, y.Fingerprint))
	})
	return a
}

type executorsAnswer struct {
	Executors []json.RawMessage `json:"executors"`
	Lost      []*LostExecutor   `json:"lostExecutors,omitempty"`
}

func (s *Service) executors(ctx context.Context, _ none) (executorsAnswer, error) {
	present, lost, err := s.fleetLost(ctx)
	if err != nil {
		return executorsAnswer{}, err
	}
	slices.SortFunc(present, func(x, y engine.Answer) int { return cmp.Compare(x.Executor, y.Executor) })
	a := executorsAnswer{Executors: []json.RawMessage{}, Lost: LostViews(lost)}
	for _, p := range present {
		data, err := engine.EncodePresence(p.Presence, s.room())
		if err != nil {
			return a, err
		}
		a.Executors = append(a.Executors, data)
	}
	return a, nil
}
