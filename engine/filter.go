package engine

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A Filter selects the executions that match all of its fields. A zero field matches
// everything.
type Filter struct {
	// Tree is the id of a root: it selects the root and everything below it.
	Tree string
	// Parent is the id of an execution: it selects its children and its finalize.
	Parent string
	// Prefix is the beginning of the id.
	Prefix string
	// Roots selects executions without a parent.
	Roots bool
	// Status selects executions with this status. Statuses selects executions with one of
	// several statuses. If both are set, both must match.
	Status   Status
	Statuses []Status
	Task     string
	Queue    string
	// Error is a part of the failure's message; upper and lower case count as equal. While the
	// execution is active, this is the failure of its last attempt, and once it has finished,
	// the failure of the execution.
	Error string
	// Metadata has pairs, all of which the execution must have.
	Metadata Metadata
	// Created, Started (the latest attempt) and Finished limit the times.
	Created, Started, Finished Span
}

// A Span is the time from From until just before Until. A zero bound is open. The zero
// Span contains every time, even the zero time of something that has not happened yet.
type Span struct{ From, Until time.Time }

// Holds reports whether t is in the span. A zero t means that it has not happened yet.
func (s Span) Holds(t time.Time) bool {
	if s.IsZero() {
		return true
	}
	return !t.IsZero() && !t.Before(s.From) && (s.Until.IsZero() || t.Before(s.Until))
}

// IsZero reports whether s has no bound.
func (s Span) IsZero() bool { return s.From.IsZero() && s.Until.IsZero() }

// Matches reports whether f selects x.
func (f Filter) Matches(x Execution) bool {
	return (f.Tree == "" || x.Root() == f.Tree) &&
		(f.Parent == "" || x.Parent == f.Parent) &&
		(!f.Roots || x.Parent == "") &&
		f.Includes(x.Status) &&
		(f.Task == "" || x.Task == f.Task) &&
		(f.Queue == "" || x.Queue == f.Queue) &&
		strings.HasPrefix(x.ID, f.Prefix) &&
		f.Created.Holds(x.CreatedAt) && f.Started.Holds(x.StartedAt) && f.Finished.Holds(x.FinishedAt) &&
		f.matchesMetadata(x) && f.matchesError(x)
}

// Includes reports whether f selects executions in status s.
func (f Filter) Includes(s Status) bool {
	return (f.Status == "" || f.Status == s) && (len(f.Statuses) == 0 || slices.Contains(f.Statuses, s))
}

func (f Filter) matchesMetadata(x Execution) bool {
	for key, value := range f.Metadata {
		if x.Metadata[key] != value {
			return false
		}
	}
	return true
}

func (f Filter) matchesError(x Execution) bool {
	if f.Error == "" {
		return true
	}
	return x.Failure != nil && strings.Contains(strings.ToLower(x.Failure.Message), strings.ToLower(f.Error))
}

// Within returns the root of the tree that contains everything that f can select, or ""
// if f may select from several trees.
func (f Filter) Within() string {
	if f.Tree == "" && f.Parent != "" {
		return RootOf(f.Parent)
	}
	return f.Tree
}

// NewestFirst is the order of lists: the latest CreatedAt first, and by id within the same
// millisecond.
func NewestFirst(x, y Execution) int {
	if c := y.CreatedAt.Compare(x.CreatedAt); c != 0 {
		return c
	}
	return strings.Compare(x.ID, y.ID)
}

// A Cursor is a position in a list that is ordered by [NewestFirst]: just behind the
// execution with this CreatedAt and ID. It stays valid when that execution is removed and
// when others are added. The zero Cursor is the beginning.
type Cursor struct {
	CreatedAt time.Time
	ID        string
}

// CursorOf returns the position just behind x.
func CursorOf(x Execution) Cursor { return Cursor{x.CreatedAt, x.ID} }

// Before reports whether x comes after the cursor in the list, so that it has yet to be
// listed.
func (c Cursor) Before(x Execution) bool {
	return c.ID == "" || NewestFirst(Execution{CreatedAt: c.CreatedAt, ID: c.ID}, x) < 0
}

// String returns the form that [ParseCursor] reads: milliseconds since the epoch, a colon,
// and the id.
func (c Cursor) String() string {
	if c.ID == "" {
		return ""
	}
	return fmt.Sprintf("%d:%s", millis(c.CreatedAt), c.ID)
}

// ParseCursor is the reverse of [Cursor.String].
func ParseCursor(text string) (Cursor, error) {
	if text == "" {
		return Cursor{}, nil
	}
	ms, id, ok := strings.Cut(text, ":")
	n, err := strconv.ParseInt(ms, 10, 64)
	if !ok || err != nil {
		return Cursor{}, fmt.Errorf("cursor %q: want <milliseconds>:<id>", text)
	}
	if err := ValidateID(id); err != nil {
		return Cursor{}, fmt.Errorf("cursor %q: %w", text, err)
	}
	return Cursor{instant(n), id}, nil
}
