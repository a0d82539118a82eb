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
	// Unserved counts what waits in queues that no executor has ever served.
	Unserved uint64 `json:"unserved"`
	// Later counts what waits for its time: executions of all queues, and trees for
	// the end of their retention.
	Later uint64 `json:"later"`
	// Lost are executors that records name and that do not answer.
	Lost []*LostExecutor `json:"lostExecutors,omitempty"`
}

// A Queue is a queue that an executor serves, or has served.
type Queue struct {
	Queue string `json:"queue"`
	// Ready counts the executions that nobody has taken yet, InFlight those in the
	// hands of executors.
	Ready    uint64 `json:"ready"`
	InFlight int    `json:"inFlight"`
	// OldestAt is when the oldest of all these was enqueued or, one that was due
	// later, was due; milliseconds since the epoch, zero if there is none. OldestMS is
	// how long ago that was.
	OldestAt int64 `json:"oldestAt,omitempty"`
	OldestMS int64 `json:"oldestMs"`
	// Paused says that nothing is taken until PausedUntil, and PauseReason why, if
	// whoever paused it has said so.
	Paused      bool   `json:"isPaused"`
	PausedUntil int64  `json:"pausedUntil,omitempty"`
	PauseReason string `json:"pauseReason,omitempty"`
	// MaxInFlight bounds InFlight in the whole fleet; -1 is no bound.
	MaxInFlight int `json:"maxInFlight"`
	// Executors counts those that serve it now.
	Executors int `json:"executors"`
	// InHand counts what these hold, without what they have given back for a moment,
	// which is in InFlight too, and what lost executors hold; it is InFlight where one of
	// them does not tell.
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

// Count counts for each queue who serves it of those present.
func (q *Queues) Count(present []engine.Answer) {
	if q.Queues == nil {
		q.Queues = []Queue{} // which JSON has another word for than for nothing
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

// Tasks are those that executors have code for.
type Tasks struct {
	Tasks []Task `json:"tasks"`
	// Cut says that the schemas are left out, or tasks, for want of room.
	Cut bool `json:"isCut,omitempty"`
}

// A Task is one as some executors have it: there are two of one id where they
// see different types.
type Task struct {
	engine.BoundTask
	Executors []string `json:"executors"`
	// Queues are those that these executors serve.
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

// TasksOf returns the tasks of those present, by id.
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
