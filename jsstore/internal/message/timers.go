package message

import (
	"maps"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/durable-execution/durable/codec"
	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/jsstore/internal/layout"
)

// Headers of scheduled messages (ADR-51).
const (
	HeaderSchedule       = "Nats-Schedule"
	HeaderScheduleTarget = "Nats-Schedule-Target"
	HeaderScheduler      = "Nats-Scheduler"
)

// Schedule makes m a timer: at that time the server publishes it to target.
func Schedule(m *nats.Msg, at time.Time, target string) {
	m.Header.Set(HeaderSchedule, "@at "+at.UTC().Format(time.RFC3339Nano))
	m.Header.Set(HeaderScheduleTarget, target)
}

// ExpectNone makes the server refuse m if a message with its subject exists already.
func ExpectNone(m *nats.Msg) { m.Header.Set(jetstream.ExpectedLastSubjSeqHeader, "0") }

// HintMessage returns the timer of an execution that is fully described by its record.
func HintMessage(l layout.Layout, x *engine.Execution, at time.Time) *nats.Msg {
	m := &nats.Msg{Subject: l.LaterSubject(x.ID), Header: nats.Header{}}
	m.Header.Set(codec.HeaderHint, "1")
	if x.Sleeping {
		m.Header.Set(codec.HeaderSleeping, "1")
	}
	Schedule(m, at, l.DueSubject(x))
	return m
}

// LookMessage returns the timer that starts the check of a tree.
func LookMessage(l layout.Layout, root string, at time.Time) *nats.Msg {
	m := nats.NewMsg(l.LookLater(root))
	Schedule(m, at, l.LookSubject(root))
	return m
}

// DueAtOnce returns the timer that replaces a ready message for which there is no room. It is
// exclusive, because a repeated spawn may find room.
func DueAtOnce(l layout.Layout, ready *nats.Msg, x *engine.Execution, now time.Time) *nats.Msg {
	m := &nats.Msg{Subject: l.LaterSubject(x.ID), Data: ready.Data, Header: nats.Header{}}
	m.Header.Set(codec.HeaderExclusive, "1")
	Schedule(m, Later(x.StartAt, now), l.DueSubject(x))
	ExpectNone(m)
	return m
}

// OwnHeaders returns the headers that a copy of a message keeps: all except those that instruct
// the server and those whose names nats.go refuses.
func OwnHeaders(all nats.Header) nats.Header {
	own := nats.Header{}
	for name, values := range all {
		if !strings.HasPrefix(name, "Nats-") && IsName(name) {
			own[name] = values
		}
	}
	return own
}

// IsName reports whether nats.go (1.55) publishes a message with a header of this name. It
// refuses more names than the server does.
func IsName(name string) bool {
	return name != "" && strings.IndexFunc(name, func(r rune) bool {
		return r <= ' ' || r >= 0x7f || strings.ContainsRune("\"()/,:;<=>?@[\\]{}", r)
	}) < 0
}

// Exclusive marks a ready message before it is sent again: the first one may have been stored,
// run, and removed.
func Exclusive(m *nats.Msg) {
	h := nats.Header{}
	maps.Copy(h, m.Header) // the old headers may still be in use by a send
	h.Set(codec.HeaderExclusive, "1")
	m.Header = h
}

func Later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
