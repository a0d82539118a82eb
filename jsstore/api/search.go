package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/durable-execution/durable/engine"
)

// listRequest asks for the executions that everything in it holds for.
type listRequest struct {
	Status statuses `json:"status"`
	Task   string   `json:"taskId"`
	Queue  string   `json:"queue"`
	Parent string   `json:"parentId"`
	// Prefix is what the id begins with.
	Prefix string `json:"executionIdPrefix"`
	// Roots leaves out what others have spawned.
	Roots bool `json:"roots"`
	// Error is part of the error's message, in upper or lower case.
	Error    string          `json:"error"`
	Metadata engine.Metadata `json:"metadata"`
	Created  span            `json:"createdAt"`
	Started  span            `json:"startedAt"`
	Finished span            `json:"finishedAt"`
	Limit    *int            `json:"limit"`
	Cursor   string          `json:"cursor"`
}

// statuses are one status, a text, or a list of them. The empty text, null and the empty
// list are none.
type statuses []engine.Status

func (l *statuses) UnmarshalJSON(data []byte) error {
	var one engine.Status
	if json.Unmarshal(data, &one) == nil {
		if *l = nil; one != "" {
			*l = statuses{one}
		}
		return nil
	}
	var list []engine.Status
	if json.Unmarshal(data, &list) != nil {
		return errors.New("status: want a text or a list of texts")
	}
	*l = list
	return nil
}

// A span begins at a time and ends just before another; either may be left out.
type span struct {
	From  *int64 `json:"from"`
	Until *int64 `json:"until"`
}

func (s span) times() engine.Span {
	at := func(ms *int64) time.Time {
		if ms == nil {
			return time.Time{}
		}
		return time.UnixMilli(*ms).UTC()
	}
	return engine.Span{From: at(s.From), Until: at(s.Until)}
}

func (q listRequest) filter() (engine.Filter, error) {
	f := engine.Filter{
		Statuses: q.Status, Task: q.Task, Queue: q.Queue, Parent: q.Parent, Prefix: q.Prefix, Roots: q.Roots, Error: q.Error, Metadata: q.Metadata,
		Created: q.Created.times(), Started: q.Started.times(), Finished: q.Finished.times(),
	}
	for _, s := range q.Status {
		if !s.Valid() {
			return f, invalid(fmt.Errorf("status %q is none of %v", s, engine.Statuses()))
		}
	}
	for _, one := range []struct {
		value string
		check func(string) error
	}{{q.Task, engine.ValidateTask}, {q.Queue, engine.ValidateQueue}, {q.Parent, engine.ValidateID}} {
		if one.value == "" {
			continue
		}
		if err := one.check(one.value); err != nil {
			return f, invalid(err)
		}
	}
	if err := q.Metadata.Validate(); err != nil {
		return f, invalid(err)
	}
	return f, nil
}

// ErrNoIndex is returned by an [Index] that can't answer now: it is being built.
var ErrNoIndex = errors.New("there is no index now")

// An Index finds executions without reading the whole namespace. A service that has
// one answers lists from it.
type Index interface {
	// Find returns up to limit of the executions that f selects, behind a place in the
	// order of [engine.NewestFirst], as they were when it was called or later. They may
	// be without payloads, children to spawn and history. Where it can't read all that
	// has happened by then in reasonable time, behind says how many changes it lacks.
	// After any error but the end of ctx the service does without the index.
	Find(ctx context.Context, f engine.Filter, after engine.Cursor, limit int) (found []engine.Execution, behind uint64, err error)
}

// find answers a list from the index; false if the whole namespace has to be read.
func (s *Service) find(ctx context.Context, f engine.Filter, n int, cursor string) (listAnswer, bool, error) {
	// What is spawned by one execution is in its tree, which is read at once.
	if s.Index == nil || f.Within() != "" {
		return listAnswer{}, false, nil
	}
	var after engine.Cursor
	if cursor != "" {
		at, err := parseCursor(cursor)
		if err != nil {
			return listAnswer{}, false, err
		}
		after = engine.Cursor{CreatedAt: time.UnixMilli(at.At).UTC(), ID: at.ID}
	}
	found, behind, err := s.Index.Find(ctx, f, after, n+1) // one more tells whether there is another page
	if err != nil {
		return listAnswer{}, false, ctx.Err()
	}
	list := make([]entry, len(found))
	for i, x := range found {
		list[i] = entryOf(place{millis(x.CreatedAt), x.ID}, x)
	}
	a, err := s.fill(ctx, list, n)
	a.Behind = behind
	return a, true, err
}
