package engine

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A Filter selects executions: those that everything in it holds for. Zero fields
// select all.
type Filter struct {
	// Tree is the id of a root: the execution itself and all below it.
	Tree string
	// Parent is the id of an execution: those that it spawned, and its finalize.
	Parent string
	// Prefix is what the id begins with.
	Prefix string
	// Roots selects those that no other spawned.
	Roots bool
	// Status selects those in just this status, Statuses those in any of these. Where both
	// are set, both must hold.
	Status   Status
	Statuses []Status
	Task     string
	Queue    string
	// Error is part of the message of the failure, upper and lower case alike: of the
	// last attempt while the execution is active, of the execution once it has
	// finished.
	Error string
	// Metadata are pairs that are all there.
	Metadata Metadata
	// Created, Started - the latest attempt - and Finished say when.
	Created, Started, Finished Span
}

// A Span of time begins at From and ends just before Until. A zero bound is none; a
// zero Span holds any time, and that nothing has happened yet.
type Span struct{ From, Until time.Time }

// Holds reports whether t, which is zero where nothing has happened, is in the span.
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

// Within returns the root of the only tree that f selects of; empty if there may
// be several.
func (f Filter) Within() string {
	if f.Tree == "" && f.Parent != "" {
		return RootOf(f.Parent)
	}
	return f.Tree
}

// NewestFirst orders executions as lists show them: the latest first, and those of
// one millisecond by their ids.
func NewestFirst(x, y Execution) int {
	if c := y.CreatedAt.Compare(x.CreatedAt); c != 0 {
		return c
	}
	return strings.Compare(x.ID, y.ID)
}

// A Cursor is a place in a list that is ordered by [NewestFirst]: behind the
// execution with this id, which was created then. It stays valid when that is gone,
// and when others come. The zero Cursor is the beginning.
type Cursor struct {
	CreatedAt time.Time
	ID        string
}

// CursorOf returns the place behind x.
func CursorOf(x Execution) Cursor { return Cursor{x.CreatedAt, x.ID} }

// Before reports whether x comes behind the place, in the part that is still to be
// listed.
func (c Cursor) Before(x Execution) bool {
	return c.ID == "" || NewestFirst(Execution{CreatedAt: c.CreatedAt, ID: c.ID}, x) < 0
}

// String returns the cursor as [ParseCursor] reads it: milliseconds since the epoch,
// a colon, the id.
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
