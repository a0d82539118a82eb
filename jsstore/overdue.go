package jsstore

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/jsstore/internal/message"
	"github.com/durable-execution/durable/jsstore/internal/rpc"
)

// If the server can't store a timer's message when the timer fires, because the account or the
// disk is full, the timer stays marked as in flight and never fires again (nats-server 2.15.2,
// scheduler.go, getScheduledMessages; jstest reproduces it without this package). Publishing
// the timer once more to the same subject removes the mark.

const (
	// overdueAfter is how late a timer must be to count as overdue. Among others, timers are up
	// to 250 ms late, and 50,000 that are due at once are some seconds late. A timer that fires
	// after all is not published again, whatever this value is.
	overdueAfter = 5 * time.Second
	// A process that has scanned the timers keeps other processes from doing so for one turn: a
	// hundred times the estimated duration of a scan, within these bounds.
	shortestTurn, longestTurn = 10 * time.Second, time.Hour
	lookShare                 = 100
	lookPerTimer              = 10 * time.Microsecond
	lookBytesPerSecond        = 50 << 20
)

// FireOverdue implements [engine.Timekeeper].
func (s *Store) FireOverdue(ctx context.Context) (int, error) {
	last, err := s.turnToLook(ctx)
	if err != nil || last == 0 {
		return 0, err
	}
	n := 0
	for m, err := range s.rpc.Scan(ctx, s.layout.Timers(), s.layout.LaterSubject(">")) {
		if err != nil {
			return n, fmt.Errorf("look for overdue timers: %w", err)
		}
		if m.Sequence > last {
			break // set since the scan began, maybe by this loop
		}
		at, err := time.Parse(time.RFC3339Nano, strings.TrimPrefix(m.Header.Get(message.HeaderSchedule), "@at "))
		if err != nil || time.Since(at) < overdueAfter {
			continue
		}
		_, err = s.rpc.Publish(ctx, timerAgain(m), nil)
		if errors.Is(err, engine.ErrConflict) {
			continue // it has fired, or another timer has replaced it
		}
		if err != nil {
			return n, fmt.Errorf("set overdue timer %s again: %w", m.Subject, err)
		}
		n++
	}
	return n, nil
}

// timerAgain returns a timer as it was published. The server stores it only if it replaces that
// very message.
func timerAgain(m *rpc.Stored) *nats.Msg {
	again := &nats.Msg{Subject: m.Subject, Header: message.OwnHeaders(m.Header), Data: m.Data}
	again.Header.Set(message.HeaderSchedule, m.Header.Get(message.HeaderSchedule))
	again.Header.Set(message.HeaderScheduleTarget, m.Header.Get(message.HeaderScheduleTarget))
	again.Header.Set(jetstream.ExpectedLastSubjSeqHeader, strconv.FormatUint(m.Sequence, 10))
	return again
}

// turnToLook returns the sequence up to which the caller must scan, and keeps others from
// scanning for a while, by a key that vanishes. Zero means that there is no timer, or that
// another process has scanned recently.
func (s *Store) turnToLook(ctx context.Context) (last uint64, err error) {
	info, err := s.rpc.StreamInfo(ctx, s.layout.Timers())
	if err != nil || info.State.Msgs == 0 {
		return 0, err
	}
	m := nats.NewMsg(s.layout.OverdueSubject())
	m.Header.Set(jetstream.MsgTTLHeader, message.Seconds(turnFor(info.State.Msgs, info.State.Bytes)))
	switch _, err = s.ns.PutMsg(ctx, m, 0); {
	case errors.Is(err, engine.ErrConflict):
		return 0, nil
	case err != nil:
		return 0, err
	}
	return info.State.LastSeq, nil
}

// turnFor returns for how long a scan of so many timers keeps others from scanning.
func turnFor(timers, bytes uint64) time.Duration {
	look := float64(timers)*lookPerTimer.Seconds() + float64(bytes)/lookBytesPerSecond
	turn := min(lookShare*look, longestTurn.Seconds())
	return max(time.Duration(turn*float64(time.Second)), shortestTurn)
}
