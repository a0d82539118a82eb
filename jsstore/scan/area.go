package scan

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"time"

	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/jsstore/internal/message"
	"github.com/durable-execution/durable/jsstore/internal/rpc"
)

// An Area is one of the three streams in which a namespace keeps executions. A reader that goes
// through all three in this order finds every execution: an execution that leaves an area
// meanwhile moves to a later one.
type Area int

// The areas.
const (
	Ready   Area = iota // executions that are due or running, unless a record says otherwise
	Timers              // executions that are due later
	Records             // executions about which an executor has recorded something
)

func (p Area) String() string { return [...]string{"ready", "timers", "records"}[p] }

func (s *Scanner) streamOf(p Area) string {
	return [...]string{s.layout.Ready(), s.layout.Timers(), s.layout.Records()}[p]
}

// State describes the contents of an area, according to the leader of its stream.
type State struct {
	// Created tells this stream from a later one with the same name.
	Created time.Time
	// First is the sequence of the first message that is still there, Last the sequence of the
	// last message that was ever stored.
	First, Last uint64
	// Messages is the number of messages, Subjects the number of their subjects. They differ in
	// the area Records if a program of an earlier version has left earlier revisions of
	// records.
	Messages, Subjects uint64
}

// State returns the state of an area.
func (s *Scanner) State(ctx context.Context, p Area) (State, error) {
	info, err := s.rpc.StreamInfo(ctx, s.streamOf(p))
	if err != nil {
		return State{}, fmt.Errorf("state of %s: %w", s.streamOf(p), err)
	}
	return State{Created: info.Created, First: info.State.FirstSeq, Last: info.State.LastSeq, Messages: info.State.Msgs, Subjects: info.State.NumSubjects}, nil
}

// A Message is one message of an area, decoded.
type Message struct {
	// Sequence is the message's sequence in its area. For a record it is the revision as well.
	Sequence uint64
	// Key is the key in the bucket for a record, and the execution's id in the other areas.
	Key string
	// Record is the execution. Its ID is empty if the message holds no readable execution: the
	// message is a hint, was set aside, is a chunk of a payload, or is damaged.
	Record engine.Record
	// Deleted says that the message marks the tree of the root Key as deleted, together with
	// everything that was written about it before.
	Deleted bool
	// Vanishes is when the server removes the message because its time to live ends. Zero means
	// never.
	Vanishes time.Time
	// Gone is when readers begin to ignore the record although it is still stored, unless the
	// message that led to it is still queued: see [engine.Execution.Gone]. It is zero if that
	// never happens, and for a record that has the time Vanishes.
	Gone time.Time
	// Left is how many messages follow this one, or a lower number if a header block can't be
	// parsed.
	Left uint64
}

// Messages returns the messages of an area in order, from a sequence on to the last one: for
// each execution its latest message. Removed messages leave no trace. It requests batch
// messages at a time; zero means as many as fit into one answer. It reads by direct gets, which
// a replica that lags behind may answer: use it for views only.
func (s *Scanner) Messages(ctx context.Context, p Area, from uint64, batch int) iter.Seq2[Message, error] {
	return func(yield func(Message, error) bool) {
		for m, err := range s.rpc.ScanFrom(ctx, s.streamOf(p), "", from, batch) {
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

// Remaining returns the sequence of the first message of an area at or after a sequence, and
// how many messages there are from that one on. Both are zero if there is none.
func (s *Scanner) Remaining(ctx context.Context, p Area, from uint64) (first, messages uint64, err error) {
	for m, err := range s.rpc.DirectGet(ctx, s.streamOf(p), map[string]any{"seq": max(from, 1), "batch": 1}) {
		if err != nil {
			return 0, 0, err
		}
		return m.Sequence, m.Left + 1, nil
	}
	return 0, 0, nil
}

// Holds reports whether an area has a message with that sequence, according to the replica that
// answers.
func (s *Scanner) Holds(ctx context.Context, p Area, sequence uint64) (bool, error) {
	first, _, err := s.Remaining(ctx, p, sequence)
	return sequence > 0 && first == sequence, err
}

// Behind reports whether the leader of an area has a message at or after a sequence. The
// replica that answered [Scanner.Messages] may not have had that message yet.
func (s *Scanner) Behind(ctx context.Context, p Area, from uint64) (bool, error) {
	_, err := s.rpc.From(ctx, s.streamOf(p), "", max(from, 1))
	if errors.Is(err, engine.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// Queued returns the message that queues an execution or holds it in the timers, as the leader
// has it. If there are several, it returns the one that List shows. The error is
// engine.ErrNotFound if there is none.
func (s *Scanner) Queued(ctx context.Context, id string) (area Area, found Message, err error) {
	if err := engine.ValidateID(id); err != nil {
		return 0, Message{}, err
	}
	for _, place := range []struct { // in the order in which an execution passes through them
		area    Area
		subject string
	}{{Ready, s.layout.ReadyOf(id)}, {Timers, s.layout.LaterSubject(id)}, {Timers, s.layout.DueOf(id)}} {
		m, err := s.rpc.Last(ctx, s.streamOf(place.area), place.subject)
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

func (s *Scanner) messageOf(p Area, m *rpc.Stored) Message {
	c := Message{Sequence: m.Sequence, Left: m.Left, Vanishes: message.Vanishes(m)}
	if p != Records {
		c.Key = s.layout.IDIn(m.Subject)
		if d := message.ParseDue(s.layout, m); message.IsExecution(d) {
			c.Record.Execution = d.Execution
		}
		return c
	}
	c.Key = strings.TrimPrefix(m.Subject, s.layout.RecordPrefix())
	if engine.ValidateID(c.Key) != nil {
		return c // a key of the namespace itself, or one that belongs to a record
	}
	if c.Deleted = message.IsGrave(m); c.Deleted {
		return c
	}
	r, err := message.DecodeRecord(m)
	if err != nil && !errors.Is(err, engine.ErrNewer) || r.ID != c.Key {
		return c
	}
	c.Record = r
	if at, ends := r.GoneAt(s.ns.Limits); ends && c.Vanishes.IsZero() {
		c.Gone = at
	}
	return c
}
