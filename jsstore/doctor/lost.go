package doctor

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/jsstore/internal/rpc"
)

// A message of a work queue is normally gone because it was delivered and acknowledged, or
// because a cancellation withdrew it. Otherwise somebody has purged or deleted it by hand, or
// the server has dropped it silently, together with a file that it could not read. An execution
// that was only queued has left no record, so only the sequences show the loss.

// traces is what records reveal about messages.
type traces struct {
	claimed   map[string]uint64 // by stream: the highest sequence by which an attempt was claimed
	withdrawn uint64            // number of executions that were cancelled before they began
	last      time.Time         // when the last of those was cancelled
	aside     map[string]uint64 // by stream: number of its messages that are set aside
}

// count notes what a record reveals about messages.
func (e *examiner) count(x engine.Execution) {
	t := &e.traces
	if stream, sequence, ok := strings.Cut(x.Message, " "); ok {
		if n, err := strconv.ParseUint(sequence, 10, 64); err == nil {
			if t.claimed == nil {
				t.claimed = map[string]uint64{}
			}
			t.claimed[stream] = max(t.claimed[stream], n)
		}
	}
	if x.Status == engine.Cancelled && x.StartedAt.IsZero() {
		t.withdrawn++
		if x.FinishedAt.After(t.last) {
			t.last = x.FinishedAt
		}
	}
}

// countAside counts a message that is set aside.
func (e *examiner) countAside(m *rpc.Stored) {
	stream, _, ok := strings.Cut(strings.TrimPrefix(m.Subject, e.layout.AsidePrefix()), ".")
	if ok && e.traces.aside == nil {
		e.traces.aside = map[string]uint64{}
	}
	if ok {
		e.traces.aside[stream]++
	}
}

// progress says how far the consumers of a stream have come.
type progress struct {
	stream uint64    // the highest sequence that one of them has delivered
	last   time.Time // the time of the last delivery
	known  bool      // last is known: a server that restarts forgets it
	begun  time.Time // when the newest consumer was created
}

func (e *examiner) progress(ctx context.Context, stream string) (progress, error) {
	return ask(ctx, e.Timeout, func(ctx context.Context) (progress, error) {
		s, err := e.rpc.JS.Stream(ctx, stream)
		if err != nil {
			return progress{}, err
		}
		g := progress{known: true}
		list := s.ListConsumers(ctx)
		for c := range list.Info() {
			g.stream = max(g.stream, c.Delivered.Stream)
			if c.Created.After(g.begun) {
				g.begun = c.Created
			}
			switch {
			case c.Delivered.Last != nil && c.Delivered.Last.After(g.last):
				g.last = *c.Delivered.Last
			case c.Delivered.Last == nil && c.Delivered.Consumer > 0:
				g.known = false
			}
		}
		return g, list.Err()
	})
}

// judgeLost looks for messages that are gone although they were never delivered.
func (e *examiner) judgeLost(ctx context.Context) {
	for _, stream := range []string{e.layout.Ready(), e.layout.Control(), e.layout.Timers()} {
		if e.streams[stream] == nil || !e.streams[stream].Config.AllowDirect {
			continue
		}
		severity, found, err := e.lost(ctx, stream)
		if err == nil && found != "" && pause(ctx, twice) == nil { // a replica may have lagged behind
			severity, found, err = e.lost(ctx, stream)
		}
		switch {
		case err != nil:
			e.unknown("stream.lost", stream, err)
		case found != "":
			e.find(severity, "stream.lost", stream, found,
				"they were purged or deleted by hand, or lost in a file that the server could not read; an execution that was only queued has left no record and will not run",
				"look for a purge, and for errors about blocks in the server's log; enqueue the executions that durable list does not show once more, with their ids")
		}
	}
	e.fine("stream.lost", "every message that is gone was delivered or withdrawn")
}

// lost says which messages of a stream are missing. It returns an empty string if none is
// missing, or if that is uncertain because messages were being delivered.
func (e *examiner) lost(ctx context.Context, stream string) (Severity, string, error) {
	before, err := e.progress(ctx, stream)
	if err != nil {
		return OK, "", err
	}
	info, err := ask(ctx, e.Timeout, e.info(stream))
	if err != nil {
		return OK, "", err
	}
	end := info.State.LastSeq
	if n := max(e.traces.claimed[stream], before.stream); n > end {
		return Problem, fmt.Sprintf("it ends at %d, but message %d was delivered: the messages after %d are lost", end, n, end), nil
	}
	if stream == e.layout.Timers() || end == 0 {
		return OK, "", nil // timers fire, and are set again, without being delivered
	}
	there, err := ask(ctx, e.Timeout, func(ctx context.Context) (uint64, error) {
		for m, err := range e.rpc.DirectGet(ctx, stream, map[string]any{"seq": before.stream + 1, "batch": 1}) {
			if err != nil {
				return 0, err
			}
			return m.Left + 1, nil
		}
		return 0, nil
	})
	if err != nil {
		return OK, "", err
	}
	after, err := e.progress(ctx, stream)
	if err != nil || after.stream != before.stream {
		return OK, "", err
	}
	// Cancelled executions, and messages that were set aside and removed, are not remembered
	// for ever.
	known := there + e.traces.aside[stream]
	if stream == e.layout.Ready() {
		known += e.traces.withdrawn
	}
	if never := end - min(end, after.stream); never > known {
		return Warning, counted(never-known, "message that was never delivered is gone", "messages that were never delivered are gone") +
			", in addition to those that are known to be cancelled or set aside", nil
	}
	found, err := e.purged(ctx, info, after)
	return Problem, found, err
}

// slack is how much earlier than a message the last delivery may be, if it can still be the
// delivery of that message.
const slack = 100 * time.Millisecond

// purged detects a purge. After a purge consumers continue behind the purged messages as if
// they had delivered them. So the sign is that the last message was stored after the last
// delivery and is gone.
func (e *examiner) purged(ctx context.Context, info *jetstream.StreamInfo, g progress) (string, error) {
	name, at := info.Config.Name, info.State.LastTime
	if !g.known || g.begun.IsZero() || !g.begun.Before(at) || !g.last.Before(at.Add(-slack)) {
		return "", nil
	}
	if name == e.layout.Ready() && e.traces.last.After(at.Add(-overdue)) {
		return "", nil // withdrawn
	}
	_, err := ask(ctx, e.Timeout, func(ctx context.Context) (*rpc.Stored, error) {
		return e.rpc.Message(ctx, name, "", map[string]any{"seq": info.State.LastSeq})
	})
	if errors.Is(err, engine.ErrNotFound) {
		return fmt.Sprintf("message %d, stored %s, is gone and was never delivered: the stream was purged", info.State.LastSeq, at.UTC().Format(time.RFC3339)), nil
	}
	return "", err
}
