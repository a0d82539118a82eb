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
)

// A timer that the server can't store when it fires, because the account or the disk is
// full, stays marked as in flight there and never fires again (nats-server 2.15.2,
// scheduler.go, getScheduledMessages; jstest has it without us). Publishing it once more to
// the same subject takes the mark away.

const (
	// overdueAfter is how late a timer is that did not fire. In company they are up to 250 ms
	// late, and 50,000 that are due at once some seconds; a timer that fires after all is
	// not set again, whatever this says.
	overdueAfter = 5 * time.Second
	// Who has looked keeps the others from it for as long as a turn lasts: a hundred times
	// what a look is estimated to take, and within these bounds.
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
	for m, err := range s.scan(ctx, s.layout.timers(), s.layout.laterSubject(">")) {
		if err != nil {
			return n, fmt.Errorf("look for overdue timers: %w", err)
		}
		if m.Sequence > last {
			break // set since, maybe here
		}
		at, err := time.Parse(time.RFC3339Nano, strings.TrimPrefix(m.Header.Get(headerSchedule), "@at "))
		if err != nil || time.Since(at) < overdueAfter {
			continue
		}
		_, err = s.publish(ctx, timerAgain(m), nil)
		if errors.Is(err, engine.ErrConflict) {
			continue // it has fired, or another lies there now
		}
		if err != nil {
			return n, fmt.Errorf("set overdue timer %s again: %w", m.Subject, err)
		}
		n++
	}
	return n, nil
}

// timerAgain returns a timer as it was published, to lie where it lies and nowhere else.
func timerAgain(m *stored) *nats.Msg {
	again := &nats.Msg{Subject: m.Subject, Header: ownHeaders(m.Header), Data: m.Data}
	again.Header.Set(headerSchedule, m.Header.Get(headerSchedule))
	again.Header.Set(headerScheduleTarget, m.Header.Get(headerScheduleTarget))
	again.Header.Set(jetstream.ExpectedLastSubjSeqHeader, strconv.FormatUint(m.Sequence, 10))
	return again
}

// turnToLook returns the sequence up to which the caller is to look, and keeps others from it
// for a while, by a key that vanishes. Zero says that there is nothing to look at, or that
// somebody has looked.
func (s *Store) turnToLook(ctx context.Context) (last uint64, err error) {
	info, err := s.streamInfo(ctx, s.layout.timers())
	if err != nil || info.State.Msgs == 0 {
		return 0, err
	}
	m := nats.NewMsg(s.layout.overdueSubject())
	m.Header.Set(jetstream.MsgTTLHeader, seconds(turnFor(info.State.Msgs, info.State.Bytes)))
	switch _, err = s.putMsg(ctx, m, 0); {
	case errors.Is(err, engine.ErrConflict):
		return 0, nil
	case err != nil:
		return 0, err
	}
	return info.State.LastSeq, nil
}

// turnFor returns how long a look at so many timers keeps others from it.
func turnFor(timers, bytes uint64) time.Duration {
	look := float64(timers)*lookPerTimer.Seconds() + float64(bytes)/lookBytesPerSecond
	turn := min(lookShare*look, longestTurn.Seconds())
	return max(time.Duration(turn*float64(time.Second)), shortestTurn)
}
