package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/durable-execution/durable/engine"
)

// listRequest selects the executions that meet all of its conditions.
type listRequest struct {
	Status statuses `json:"status"`
	Task   string   `json:"taskId"`
	Queue  string   `json:"queue"`
	Parent string   `json:"parentId"`
	// Prefix is the beginning of the id.
	Prefix string `json:"executionIdPrefix"`
	// Roots leaves out executions that others have spawned.
	Roots bool `json:"roots"`
	// Error is a part of the error's message; upper and lower case are the same.
	Error    string          `json:"error"`
	Metadata engine.Metadata `json:"metadata"`
	Created  span            `json:"createdAt"`
	Started  span            `json:"startedAt"`
	Finished span            `json:"finishedAt"`
	Limit    *int            `json:"limit"`
	Cursor   string          `json:"cursor"`
}

// statuses is one status, as a text, or a list of them. The empty text, null and the empty list
// mean no status.
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
		return errors.New("status: want a string or a list of strings")
	}
	*l = list
	return nil
}

// A span begins at a time and ends just before another one; either may be left out.
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
			return f, invalid(fmt.Errorf("unknown status %q: want one of %v", s, engine.Statuses()))
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

// ErrNoIndex is returned by an [Index] that can't answer because it is still being built.
var ErrNoIndex = errors.New("there is no index now")

// An Index finds executions without reading the whole namespace. A service that has an index
// answers lists from it.
type Index interface {
	// Find returns up to limit of the executions that f selects, after a position in the order
	// of [engine.NewestFirst], in their state at the time of the call or later. They may lack
	// payloads, children to spawn and history. If Find can't read all recent changes in
	// reasonable time, behind says how many it lacks. After any error other than the end of
	// ctx, the service answers without the index.
	Find(ctx context.Context, f engine.Filter, after engine.Cursor, limit int) (found []engine.Execution, behind uint64, err error)
}

// find answers a list from the index. It returns false if the whole namespace must be read.
func (s *Service) find(ctx context.Context, f engine.Filter, n int, cursor string) (listAnswer, bool, error) {
	// The children of one execution are in its tree, which can be read directly.
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
	found, behind, err := s.Index.Find(ctx, f, after, n+1) // one more shows whether there is another page
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
