package jsstore

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/durable-execution/durable/codec"
	"github.com/durable-execution/durable/engine"
)

// An Area is one of the places of a namespace that executions lie in. Who reads all
// three in this order finds every execution: what leaves one in the meantime is in a
// later one.
type Area int

// The areas.
const (
	Ready   Area = iota // those that are due or in hand, unless a record says more
	Timers              // those that are due later
	Records             // those of which an executor has recorded something
)

func (p Area) String() string { return [...]string{"ready", "timers", "records"}[p] }

func (s *Store) streamOf(p Area) string {
	return [...]string{s.layout.ready(), s.layout.timers(), s.layout.records()}[p]
}

// An AreaState is what an area consists of, as its leader says.
type AreaState struct {
	// Created tells it from another of the same name, made later.
	Created time.Time
	// First and Last are the sequences of the first message that is there and of the
	// last that ever was.
	First, Last uint64
	// Messages is how many there are, Subjects on how many subjects: of a record, there may
	// be earlier revisions, which a program of an earlier version has left.
	Messages, Subjects uint64
}

// State returns the state of an area.
func (s *Store) State(ctx context.Context, p Area) (AreaState, error) {
	info, err := s.streamInfo(ctx, s.streamOf(p))
	if err != nil {
		return AreaState{}, fmt.Errorf("state of %s: %w", s.streamOf(p), err)
	}
	return AreaState{Created: info.Created, First: info.State.FirstSeq, Last: info.State.LastSeq, Messages: info.State.Msgs, Subjects: info.State.NumSubjects}, nil
}

// streamInfo returns what the server knows of a stream.
func (s *Store) streamInfo(ctx context.Context, name string) (info *jetstream.StreamInfo, err error) {
	err = s.manage(ctx, func(ctx context.Context) error {
		st, err := s.js.Stream(ctx, name)
		if err == nil {
			info = st.CachedInfo()
		}
		return err
	})
	return info, err
}

// A Message is what one message of an area says.
type Message struct {
	// Sequence is its place in the part; of a record, also its revision.
	Sequence uint64
	// Key is that of the bucket or, in the other parts, the execution's id.
	Key string
	// Record is the execution; without an ID, the message holds none that can be read:
	// it is a hint, set aside, part of a payload, damaged.
	Record engine.Record
	// Deleted says that the tree of the root Key was deleted, with all of it that
	// came before.
	Deleted bool
	// Vanishes is when the message is removed by its own time to live; zero for never.
	Vanishes time.Time
	// Gone is when the record counts as nothing though it lies there, unless the message
	// that led to it is still queued: see [engine.Execution.Gone]. It is zero for never, and
	// of a record that vanishes.
	Gone time.Time
	// Left is how many messages come behind it, or fewer where its header block is not to
	// be parsed.
	Left uint64
}

// Messages returns what lies in an area from a sequence on, in order, up to its end:
// of each execution, the latest that is known of it. What was removed is not there and
// leaves no trace. It asks for so many at once; zero means as many as an answer takes.
// It reads by direct gets, which a replica may answer that lags behind: it is for views.
func (s *Store) Messages(ctx context.Context, p Area, from uint64, batch int) iter.Seq2[Message, error] {
	return func(yield func(Message, error) bool) {
		for m, err := range s.scanFrom(ctx, s.streamOf(p), "", from, batch) {
			if err != nil {
				yield(Message{}, err)
				return
			}
			if !yield(s.messageOf(p, m), nil) {
				return
			}
		}
	}
}

// Remaining returns the sequence of the first message of an area from a sequence on,
// and how many there are from there: none, if it returns zeros.
func (s *Store) Remaining(ctx context.Context, p Area, from uint64) (first, messages uint64, err error) {
	for m, err := range s.directGet(ctx, s.streamOf(p), map[string]any{"seq": max(from, 1), "batch": 1}) {
		if err != nil {
			return 0, 0, err
		}
		return m.Sequence, m.left + 1, nil
	}
	return 0, 0, nil
}

// Holds reports whether an area has a message with that sequence, as far as the
// replica knows that is asked.
func (s *Store) Holds(ctx context.Context, p Area, sequence uint64) (bool, error) {
	first, _, err := s.Remaining(ctx, p, sequence)
	return sequence > 0 && first == sequence, err
}

// Behind reports whether the leader of an area has a message from a sequence on, which
// who answered [Store.Messages] may not have had yet.
func (s *Store) Behind(ctx context.Context, p Area, from uint64) (bool, error) {
	_, err := s.from(ctx, s.streamOf(p), "", max(from, 1))
	if errors.Is(err, engine.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// Queued returns the message that an execution is queued by, or waits in the timers
// by, from the leader; of several, the one that List has. The error is
// engine.ErrNotFound if there is none.
func (s *Store) Queued(ctx context.Context, id string) (area Area, found Message, err error) {
	if err := engine.ValidateID(id); err != nil {
		return 0, Message{}, err
	}
	for _, place := range []struct { // in the order in which it goes through them
		area    Area
		subject string
	}{{Ready, s.layout.readyOf(id)}, {Timers, s.layout.laterSubject(id)}, {Timers, s.layout.dueOf(id)}} {
		m, err := s.last(ctx, s.streamOf(place.area), place.subject)
		if errors.Is(err, engine.ErrNotFound) {
			continue
		}
		if err != nil {
			return 0, Message{}, err
		}
		if c := s.messageOf(place.area, m); c.Record.ID == id {
			area, found = place.area, c
		}
	}
	if found.Key == "" {
		err = fmt.Errorf("message of %s: %w", id, engine.ErrNotFound)
	}
	return area, found, err
}

func (s *Store) messageOf(p Area, m *stored) Message {
	c := Message{Sequence: m.Sequence, Left: m.left, Vanishes: vanishes(m)}
	if p != Records {
		c.Key = s.layout.idIn(m.Subject)
		if d := s.layout.parse(m); isExecution(d) {
			c.Record.Execution = d.Execution
		}
		return c
	}
	c.Key = strings.TrimPrefix(m.Subject, s.layout.recordPrefix())
	if engine.ValidateID(c.Key) != nil {
		return c // the namespace's own, or what is kept beside a record
	}
	if c.Deleted = isGrave(m); c.Deleted {
		return c
	}
	r, err := decodeRecord(m)
	if err != nil && !errors.Is(err, engine.ErrNewer) || r.ID != c.Key {
		return c
	}
	c.Record = r
	if at, ends := r.GoneAt(s.Limits()); ends && c.Vanishes.IsZero() {
		c.Gone = at
	}
	return c
}

func vanishes(m *stored) time.Time {
	n, err := strconv.ParseInt(m.Header.Get(jetstream.MsgTTLHeader), 10, 64)
	if err != nil || n <= 0 {
		return time.Time{}
	}
	return m.Time.Add(time.Duration(min(n, codec.MaxMillis/1000)) * time.Second)
}
