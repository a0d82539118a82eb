package jsstore

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strconv"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/durable-execution/durable/codec"
	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/jsstore/internal/message"
	"github.com/durable-execution/durable/jsstore/internal/namespace"
	"github.com/durable-execution/durable/jsstore/internal/rpc"
)

// SetAside implements [engine.Baton]. It stores the copy first and acknowledges the message
// afterwards: a crash in between sets the message aside again, under the same name.
func (b *baton) SetAside(ctx context.Context, reason string) error {
	if err := b.s.setAside(ctx, b.m, reason); err != nil {
		return err
	}
	return b.Done(ctx)
}

// setAside keeps a copy of a delivered message.
func (s *Store) setAside(ctx context.Context, m *nats.Msg, reason string) error {
	about := meta(m.Reply)
	kept := &rpc.Stored{Subject: m.Subject, Sequence: about.sequence, Header: m.Header, Data: m.Data, Time: about.time}
	if rpc.IsBroken(m) { // only the leader returns the block itself
		got, err := s.rpc.Message(ctx, about.stream, m.Subject, map[string]any{"seq": about.sequence})
		if errors.Is(err, engine.ErrNotFound) {
			return nil // somebody was faster
		}
		if err != nil {
			return fmt.Errorf("set %s aside: %w", m.Subject, err)
		}
		kept.Block = got.Block
	}
	return s.ns.KeepAside(ctx, about.stream, kept, reason)
}

// layAside sets aside a message that the store itself can't read. If the copy could not be
// stored, the server redelivers the message after the lease.
func (s *Store) layAside(m *nats.Msg, reason error) {
	s.errands.run(func() {
		b := baton{s: s, m: m}
		_ = b.SetAside(context.Background(), reason.Error())
	})
}

// Aside implements [engine.Store].
func (s *Store) Aside(ctx context.Context) iter.Seq2[engine.Aside, error] {
	return func(yield func(engine.Aside, error) bool) {
		for m, err := range s.ns.ScanLast(ctx, s.layout.AsideSubjects()) {
			if err != nil {
				yield(engine.Aside{}, err)
				return
			}
			if !message.IsGrave(m) && !yield(s.ns.Aside(m), nil) {
				return
			}
		}
		for m, err := range s.ns.ScanLast(ctx, s.ns.RecordsUnder("")...) {
			if err != nil {
				yield(engine.Aside{}, err)
				return
			}
			if s.ns.IsOwn(m) {
				continue
			}
			if _, err := message.DecodeRecord(m); errors.Is(err, engine.ErrDamaged) && !yield(s.ns.Damaged(m, err), nil) {
				return
			}
		}
	}
}

// ErrNotAside is returned for a name under which no message is set aside.
var ErrNotAside = errors.New("no message is set aside under that name")

// PutBack publishes a message that was set aside once more, unchanged, and removes the copy.
// Use it once executors can read the message. The error is ErrNotAside if there is no such
// message. It wraps engine.ErrTooLarge if the body was too long to be kept, engine.ErrDamaged
// if the headers can't be parsed, and engine.ErrExists if the execution that the message would
// start is queued or running.
func (s *Store) PutBack(ctx context.Context, name string) error {
	m, err := s.findAside(ctx, name)
	if err != nil {
		return err
	}
	if m.Header.Get(namespace.HeaderAsideSize) != "" {
		return fmt.Errorf("put %s back: %w: its body was not kept", name, engine.ErrTooLarge)
	}
	again := nats.NewMsg(m.Header.Get(namespace.HeaderAsideSubject))
	again.Data = m.Data
	if n, err := strconv.Atoi(m.Header.Get(namespace.HeaderAsideBlock)); err == nil && n >= 0 && n <= len(m.Data) {
		again.Data = m.Data[n:]
		if again.Header, err = nats.DecodeHeadersMsg(m.Data[:n]); err != nil {
			return fmt.Errorf("put %s back: %w: %w", name, engine.ErrDamaged, rpc.ErrBlock)
		}
	} else {
		for header, values := range m.Header {
			if !strings.HasPrefix(header, "Nats-") && !strings.HasPrefix(header, namespace.AsideHeaders) && header != codec.HeaderWrite {
				again.Header[header] = values
			}
		}
	}
	switch kind, rest := s.layout.Split(again.Subject); kind {
	case "due": // only the timers publish these; ready has the same effect
		again.Subject = s.layout.NS + ".ready." + rest
		message.Exclusive(again)
	case "ready": // the execution may have run since then, so its claim must check
		message.Exclusive(again)
	}
	if _, err := s.rpc.Publish(ctx, again, nil); err != nil {
		return fmt.Errorf("put %s back: %w", name, err)
	}
	return s.forget(ctx, m)
}

// Forget removes a message that was set aside. The error is ErrNotAside if there is no such
// message.
func (s *Store) Forget(ctx context.Context, name string) error {
	m, err := s.findAside(ctx, name)
	if err != nil {
		return err
	}
	return s.forget(ctx, m)
}

func (s *Store) findAside(ctx context.Context, name string) (*rpc.Stored, error) {
	subject := s.layout.RecordPrefix() + name
	if !strings.HasPrefix(subject, s.layout.AsidePrefix()) || strings.ContainsAny(name, " \t\r\n*>") {
		return nil, fmt.Errorf("%w: %q", ErrNotAside, name)
	}
	m, err := s.rpc.Last(ctx, s.layout.Records(), subject)
	if errors.Is(err, engine.ErrNotFound) || err == nil && message.IsGrave(m) {
		return nil, fmt.Errorf("%w: %q", ErrNotAside, name)
	}
	return m, err
}

func (s *Store) forget(ctx context.Context, m *rpc.Stored) error {
	grave := nats.NewMsg(m.Subject)
	grave.Header.Set(message.HeaderOperation, message.OperationDelete)
	grave.Header.Set(jetstream.MsgTTLHeader, message.GraveTTL)
	_, err := s.ns.PutMsg(ctx, grave, m.Revision())
	if errors.Is(err, engine.ErrConflict) {
		return nil // somebody was faster
	}
	return err
}
