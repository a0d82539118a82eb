package jsstore

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/durable-execution/durable/codec"
	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/jsstore/internal/message"
	"github.com/durable-execution/durable/jsstore/internal/rpc"
)

// Claim implements [engine.Store]. A queue is a consumer of ready messages and
// its twin on the timers.
func (s *Store) Claim(ctx context.Context, queue string) (engine.Feed[*engine.Delivery], error) {
	if err := engine.ValidateQueue(queue); err != nil {
		return nil, err
	}
	if err := s.rpc.Usable(ctx); err != nil {
		return nil, err
	}
	sources, limited := s.layout.QueueSources(queue), new(atomic.Bool)
	sources[0].Limited = limited
	stop, err := s.watchLimit(queue, sources[0])
	if err != nil {
		return nil, err
	}
	return newFeedUntil(ctx, s, stop, func(m *nats.Msg, old bool) (*engine.Delivery, bool) {
		return s.delivery(m, old, limited.Load())
	}, sources...)
}

// Closures implements [engine.Store]. Every executor has such a feed open, so it also sets
// aside the messages that no feed can receive, as long as it is open.
func (s *Store) Closures(ctx context.Context) (engine.Feed[engine.ClosureMessage], error) {
	looking, stop := context.WithCancel(context.Background())
	go s.setStraysAside(looking)
	return newFeedUntil(ctx, s, stop, func(m *nats.Msg, old bool) (engine.ClosureMessage, bool) {
		c, err := engine.DecodeClosure(m.Data)
		if err != nil {
			s.refuse(m, err)
			return engine.ClosureMessage{}, false
		}
		return engine.ClosureMessage{Baton: &baton{s: s, m: m}, Closure: c, Again: old, Deliveries: meta(m.Reply).deliveries}, true
	}, s.layout.ClosureSource())
}

// Cancels implements [engine.Store].
func (s *Store) Cancels(ctx context.Context) (engine.Feed[engine.CancelMessage], error) {
	return newFeed(ctx, s, func(m *nats.Msg, _ bool) (engine.CancelMessage, bool) {
		c, err := engine.DecodeCancel(m.Data)
		if err != nil {
			s.refuse(m, err)
			return engine.CancelMessage{}, false
		}
		return engine.CancelMessage{Baton: &baton{s: s, m: m}, Cancel: c, Deliveries: meta(m.Reply).deliveries}, true
	}, s.layout.CancelSource())
}

// delivery reads a ready or due message. old says that it may have been delivered before;
// limited says that due messages must pass through the ready stream.
func (s *Store) delivery(m *nats.Msg, old, limited bool) (*engine.Delivery, bool) {
	about := meta(m.Reply)
	d := message.ParseDue(s.layout, &rpc.Stored{
		Subject: m.Subject, Sequence: about.sequence, Header: m.Header, Data: m.Data, Time: about.time, Broken: rpc.IsBroken(m),
	})
	if d.Invalid != nil && engine.ValidateID(d.Execution.ID) != nil {
		// Nothing can be recorded under such an id.
		s.layAside(m, d.Invalid)
		return d, false
	}
	// Anybody may have written this header, so the number is not reliable.
	if text := m.Header.Get(codec.HeaderDeliveries); text != "" {
		before, _ := strconv.Atoi(text)
		d.Deliveries = min(max(before, 0), 1<<30)
	}
	d.Deliveries += about.deliveries
	if d.Hint && d.Invalid == nil && about.stream == s.layout.Ready() {
		d.Invalid = message.ErrHint
	}
	b := &baton{s: s, m: m, execution: &d.Execution, deliveries: d.Deliveries, exclusive: !d.Fresh}
	if limited && about.stream == s.layout.Timers() {
		s.move(m, b)
		return d, false
	}
	d.Baton, d.Until = b, time.Now().Add(s.ns.Limits.Lease)
	d.Message = messageName(about.stream, about.sequence)
	d.First = !old
	// A message that came through the timers may come twice, so it is claimed exclusively.
	d.Fresh = d.Fresh && d.First && m.Header.Get(message.HeaderScheduler) == ""
	// A message without a delay is due now: its times come from the clock of whoever created
	// it, which may be ahead of this one. A client without the definition may ask for a delay
	// too, which then replaces the definition's.
	if x := &d.Execution; !d.Hint && d.Invalid == nil && x.Policy.Delay > 0 && x.StartAt.After(time.Now()) {
		if _, contested := s.contested.LoadAndDelete(m.Subject); !contested {
			s.postpone(b, x.StartAt)
			return d, false
		}
	}
	return d, true
}

// refuse handles a control message that this executor can't read. If only a later version
// understands the message, refuse returns it, for an executor of that version to take it.
func (s *Store) refuse(m *nats.Msg, reason error) {
	if errors.Is(reason, engine.ErrNewer) {
		_ = s.nak(m, engine.ForeignDelay(meta(m.Reply).deliveries)) // if the nak gets lost, the server redelivers the message after the lease
		return
	}
	s.layAside(m, reason)
}

// about holds the fields of the ack subject of a delivered message.
type about struct {
	stream     string
	deliveries int
	sequence   uint64
	time       time.Time
}

// meta reads an ack subject: $JS.ACK.<stream>.<consumer>.<delivered>.<stream seq>.<consumer
// seq>.<time>.<pending>, or with <domain>.<account hash> before the stream (and maybe one more
// token at the end).
func meta(reply string) about {
	var all [12]string
	n := 0
	for rest, more := reply, true; more && n < len(all); n++ {
		all[n], rest, more = strings.Cut(rest, ".")
	}
	tokens := all[:n]
	if len(tokens) >= 11 {
		tokens = tokens[2:]
	}
	if len(tokens) < 9 {
		return about{deliveries: 1}
	}
	deliveries, _ := strconv.Atoi(tokens[4])
	seq, _ := strconv.ParseUint(tokens[5], 10, 64)
	ns, _ := strconv.ParseInt(tokens[7], 10, 64)
	return about{stream: tokens[2], deliveries: deliveries, sequence: seq, time: time.Unix(0, ns)}
}

// baton is a delivered message of a consumer.
type baton struct {
	s          *Store
	m          *nats.Msg
	execution  *engine.Execution // of a ready or due message
	deliveries int               // how often that message was delivered
	exclusive  bool              // another message may have the same id
}

// Extend implements [engine.Baton].
func (b *baton) Extend(context.Context) error { return b.s.rpc.Conn.Publish(b.m.Reply, []byte("+WPI")) }

// Done implements [engine.Baton]. It does not wait for the server. If the ack gets lost, the
// server redelivers the message after the lease, and the next executor finds that everything is
// done. So Done refuses to write to a connection that is known to be lost.
func (b *baton) Done(context.Context) error {
	if !b.s.rpc.Conn.IsConnected() {
		return nats.ErrDisconnected
	}
	b.s.rpc.Send(nats.Msg{Subject: b.m.Reply, Data: ack}, nil)
	return nil
}

var ack = []byte("+ACK")

// longNak is the shortest delay that becomes a timer. A shorter delay is a delayed redelivery,
// which is precise to the millisecond but counts as in hand on the server.
const longNak = time.Second

// Return implements [engine.Baton].
func (b *baton) Return(ctx context.Context, at time.Time, recorded bool) error {
	m := b.timerFor(at, recorded)
	if m == nil {
		return b.s.nak(b.m, time.Until(at))
	}
	parked, err := true, error(nil)
	if recorded {
		_, err = b.s.rpc.Publish(ctx, m, nil)
	} else {
		parked, err = b.park(ctx, m)
	}
	switch {
	case err != nil:
		return fmt.Errorf("timer for %s: %w", b.execution.ID, err)
	case !parked:
		return b.s.nak(b.m, min(time.Until(at), engine.ForeignDelay(b.deliveries)))
	}
	return b.Done(ctx)
}

// timerFor returns the timer that keeps the message until then. It returns nil if the message
// must wait as a delayed redelivery instead: because the delay is short, or because the timer's
// headers would make the message too long.
func (b *baton) timerFor(at time.Time, recorded bool) *nats.Msg {
	if b.execution == nil || time.Until(at) < longNak {
		return nil
	}
	m := b.timer(at, recorded)
	if size := rpc.SizeOnWire(m); size > int(b.s.rpc.Conn.MaxPayload()) || size-len(m.Data) > maxHeaders {
		return nil
	}
	return m
}

// timer returns the message that delivers an execution at a time.
func (b *baton) timer(at time.Time, recorded bool) *nats.Msg {
	x := b.execution
	if recorded {
		return message.HintMessage(b.s.layout, x, at)
	}
	m := &nats.Msg{Subject: b.s.layout.LaterSubject(x.ID), Header: message.OwnHeaders(b.m.Header), Data: b.m.Data}
	if !engine.IsDue(m.Data) {
		m.Header.Set(codec.HeaderCreated, strconv.FormatInt(x.CreatedAt.UnixMilli(), 10))
	}
	m.Header.Set(codec.HeaderDeliveries, strconv.Itoa(b.deliveries))
	message.Schedule(m, at, b.s.layout.DueSubject(x))
	return m
}

// maxHeaders is how long a header block may be in a stream (nats-server 2.15.2: error 10097).
const maxHeaders = 1<<16 - 1

func (s *Store) nak(m *nats.Msg, delay time.Duration) error {
	if delay <= 0 {
		return s.rpc.Conn.Publish(m.Reply, []byte("-NAK"))
	}
	return s.rpc.Conn.Publish(m.Reply, fmt.Appendf(nil, `-NAK {"delay":%d}`, delay.Nanoseconds()))
}
