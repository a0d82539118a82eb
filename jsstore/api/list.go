package api

import (
	"cmp"
	"container/heap"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/durable-execution/durable/engine"
)

// The default and the maximum number of executions on a page. A page has fewer if the answer
// has no room for more.
const (
	defaultPage = 100
	longestPage = 1000
)

type listAnswer struct {
	Executions []json.RawMessage `json:"executions"`
	// Cursor is the start of the next page; empty on the last page.
	Cursor string `json:"cursor,omitempty"`
	// Behind is how many changes the index lacked; left out if there are none, or no index.
	Behind uint64 `json:"behind,omitempty"`
}

// list answers from the index, if there is one. Otherwise it reads all executions of the store,
// since the store does not keep them in the order of their creation.
func (s *Service) list(ctx context.Context, q listRequest) (listAnswer, error) {
	f, err := q.filter()
	if err != nil {
		return listAnswer{}, err
	}
	n, err := pageOf(q.Limit)
	if err != nil {
		return listAnswer{}, err
	}
	if a, ok, err := s.find(ctx, f, n, q.Cursor); ok || err != nil {
		return a, err
	}
	newest := func(a, b place) int { return cmp.Or(cmp.Compare(b.At, a.At), cmp.Compare(a.ID, b.ID)) }
	return s.page(ctx, f, n, q.Cursor, newest)
}

type treeRequest struct {
	ID     string `json:"executionId"`
	Limit  *int   `json:"limit"`
	Cursor string `json:"cursor"`
}

// tree returns the executions of the tree that an execution belongs to, parents before
// their children.
func (s *Service) tree(ctx context.Context, q treeRequest) (listAnswer, error) {
	if err := checkID(q.ID); err != nil {
		return listAnswer{}, err
	}
	oldest := func(a, b place) int {
		return cmp.Or(cmp.Compare(a.At, b.At), cmp.Compare(len(a.ID), len(b.ID)), cmp.Compare(a.ID, b.ID))
	}
	n, err := pageOf(q.Limit)
	if err != nil {
		return listAnswer{}, err
	}
	a, err := s.page(ctx, engine.Filter{Tree: engine.RootOf(q.ID)}, n, q.Cursor, oldest)
	if err == nil && len(a.Executions) == 0 && q.Cursor == "" {
		return a, fmt.Errorf("tree of %s: %w", engine.RootOf(q.ID), engine.ErrNotFound)
	}
	return a, err
}

// A place is a position in the order of a list. It identifies an execution, however many others
// come and go between two pages.
type place struct {
	At int64  `json:"a"` // when it was created
	ID string `json:"i"`
}

func (p place) cursor() string {
	data, _ := json.Marshal(p) // a text and a number: this can't fail
	return base64.RawURLEncoding.EncodeToString(data)
}

func parseCursor(text string) (p place, err error) {
	data, err := base64.RawURLEncoding.DecodeString(text)
	if err == nil {
		err = unmarshal(data, &p)
	}
	if err != nil {
		return p, invalid(errors.New("cursor: not one from an answer"))
	}
	return p, nil
}

// pageOf returns how many executions a page has at most.
func pageOf(limit *int) (int, error) {
	switch {
	case limit == nil:
		return defaultPage, nil
	case *limit < 1 || *limit > longestPage:
		return 0, invalid(fmt.Errorf("limit: %d: want 1 to %d", *limit, longestPage))
	}
	return *limit, nil
}

// page reads all executions that the filter selects, and keeps the first ones after the cursor.
// So it needs only as much memory as a page.
func (s *Service) page(ctx context.Context, f engine.Filter, n int, cursor string, order func(a, b place) int) (listAnswer, error) {
	var after place
	if cursor != "" {
		var err error
		if after, err = parseCursor(cursor); err != nil {
			return listAnswer{}, err
		}
	}
	first := &firstOf{order: order}
	for x, err := range s.Client.List(ctx, f) {
		if err != nil {
			return listAnswer{}, err
		}
		at := place{millis(x.CreatedAt), x.ID}
		if cursor != "" && order(at, after) <= 0 {
			continue
		}
		first.keep(n+1, entryOf(at, x)) // one more shows whether there is another page
	}
	slices.SortFunc(first.list, func(a, b entry) int { return order(a.place, b.place) })
	return s.fill(ctx, first.list, n)
}

// fill makes an answer from the first n entries, or from fewer if it has no room for them.
func (s *Service) fill(ctx context.Context, list []entry, n int) (listAnswer, error) {
	a := listAnswer{Executions: []json.RawMessage{}}
	running := make([]engine.Execution, len(list))
	for i, e := range list {
		running[i] = e.runs
	}
	lost := s.lost(ctx, running)
	room := s.room() - 256 // for the fields around them
	for i, e := range list {
		e.view.Lose(e.runs, lost)
		data, err := marshal(e.view)
		if err != nil {
			return a, err
		}
		if room -= len(data) + 1; i == n || (i > 0 && room < 0) {
			a.Cursor = list[i-1].cursor()
			break
		}
		a.Executions = append(a.Executions, data)
	}
	return a, nil
}

type entry struct {
	place
	view Execution
	runs engine.Execution // what tells whether its executor is lost
}

func entryOf(at place, x engine.Execution) entry {
	return entry{at, View(x), engine.Execution{ID: x.ID, Task: x.Task, Queue: x.Queue, Status: x.Status, Sleeping: x.Sleeping, Executor: x.Executor}}
}

// firstOf keeps the first entries in an order: it is a heap with the last of them on top.
type firstOf struct {
	order func(a, b place) int
	list  []entry
}

func (f *firstOf) keep(n int, e entry) {
	if len(f.list) < n {
		heap.Push(f, e)
		return
	}
	if f.order(e.place, f.list[0].place) < 0 {
		f.list[0] = e
		heap.Fix(f, 0)
	}
}

func (f *firstOf) Len() int           { return len(f.list) }
func (f *firstOf) Less(i, j int) bool { return f.order(f.list[i].place, f.list[j].place) > 0 }
func (f *firstOf) Swap(i, j int)      { f.list[i], f.list[j] = f.list[j], f.list[i] }
func (f *firstOf) Push(e any)         { f.list = append(f.list, e.(entry)) }
func (f *firstOf) Pop() any           { panic("entries are replaced, not taken") }
