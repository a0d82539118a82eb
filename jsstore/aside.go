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
)

// What is set aside lies in the bucket under a key of its own, as it was, with
// these headers beside its own. It vanishes after the namespace's retention.
const (
	headerAsideSubject = "Durable-Aside-Subject"
	headerAsideReason  = "Durable-Aside-Reason"
	headerAsideTime    = "Durable-Aside-Time" // milliseconds since the epoch
	headerAsideSize    = "Durable-Aside-Size" // where the body was too long to be kept

	// maxReason bounds the reason, in bytes.
	maxReason = 1 << 10
)

// SetAside implements [engine.Baton]. Once its copy is stored the message is put
// down, in this order: a crash between the two sets it aside again, under the
// same name.
func (b *baton) SetAside(ctx context.Context, reason string) error {
	if err := b.s.setAside(ctx, b.m, reason); err != nil {
		return err
	}
	return b.Done(ctx)
}

func (s *Store) setAside(ctx context.Context, m *nats.Msg, reason string) error {
	return s.keepAside(ctx, m, meta(m.Reply), reason)
}

// keepAside stores a copy of a message that lies, or lay, at a place.
func (s *Store) keepAside(ctx context.Context, m *nats.Msg, about about, reason string) error {
	kept := nats.NewMsg(s.layout.asideSubject(about.stream, about.sequence, about.time.UnixMilli()))
	kept.Data = m.Data
	for name, values := range m.Header {
		if !strings.HasPrefix(name, "Nats-") {
			kept.Header[name] = values
		}
	}
	if len(reason) > maxReason {
		reason = strings.ToValidUTF8(reason[:maxReason], "")
	}
	kept.Header.Set(headerAsideSubject, m.Subject)
	// A header is one line.
	kept.Header.Set(headerAsideReason, strings.NewReplacer("\r", " ", "\n", " ").Replace(reason))
	kept.Header.Set(headerAsideTime, strconv.FormatInt(about.time.UnixMilli(), 10))
	if d := s.config.Retention; d > 0 && d != engine.Forever {
		kept.Header.Set(jetstream.MsgTTLHeader, seconds(d))
	}
	if int64(kept.Size()) > s.nc.MaxPayload()-1024 { // it has more headers now than it had
		kept.Header.Set(headerAsideSize, strconv.Itoa(len(kept.Data)))
		kept.Data = nil
	}
	_, err := s.putMsg(ctx, kept, 0)
	if errors.Is(err, engine.ErrConflict) {
		return nil // it was set aside before
	}
	if err != nil {
		return fmt.Errorf("set %s aside: %w", m.Subject, err)
	}
	return nil
}

// layAside sets a message aside that the store itself can't read. One that could
// not be stored comes again after the lease.
func (s *Store) layAside(m *nats.Msg, reason error) {
	s.later(func() {
		b := baton{s: s, m: m}
		_ = b.SetAside(context.Background(), reason.Error())
	})
}

// later does what takes a request about a message that has just arrived, beside
// the connection's own goroutine, which must not wait for an answer.
func (s *Store) later(do func()) {
	s.postponing <- struct{}{}
	go func() {
		defer func() { <-s.postponing }()
		do()
	}()
}

// Aside implements [engine.Store].
func (s *Store) Aside(ctx context.Context) iter.Seq2[engine.Aside, error] {
	return func(yield func(engine.Aside, error) bool) {
		for m, err := range s.scanLast(ctx, s.layout.asideSubjects()) {
			if err != nil {
				yield(engine.Aside{}, err)
				return
			}
			if !isGrave(m) && !yield(s.aside(m), nil) {
				return
			}
		}
		for _, subject := range s.recordsUnder("") {
			for m, err := range s.scanLast(ctx, subject) {
				if err != nil {
					yield(engine.Aside{}, err)
					return
				}
				if s.isOwn(m) {
					continue
				}
				if _, err := decodeRecord(m); errors.Is(err, engine.ErrDamaged) && !yield(s.damaged(m, err), nil) {
					return
				}
			}
		}
	}
}

func (s *Store) aside(m *stored) engine.Aside {
	a := engine.Aside{
		Name: strings.TrimPrefix(m.Subject, s.layout.recordPrefix()), Place: m.Header.Get(headerAsideSubject),
		Reason: m.Header.Get(headerAsideReason), At: m.Time.UTC(), Size: len(m.Data),
	}
	h := reader{header: m.Header}
	if ms := h.integer(headerAsideTime); ms != 0 {
		a.At = instant(ms)
	}
	if n := h.integer(headerAsideSize); n != 0 {
		a.Size = int(n)
	}
	if id := s.layout.idIn(a.Place); engine.ValidateID(id) == nil {
		a.ID = id
	}
	return a
}

func (s *Store) damaged(m *stored, reason error) engine.Aside {
	id := strings.TrimPrefix(m.Subject, s.layout.recordPrefix())
	return engine.Aside{Name: id, ID: id, Place: m.Subject, Record: true, Reason: reason.Error(), At: m.Time.UTC(), Size: len(m.Data)}
}

// ErrNotAside is returned for a name under which nothing lies aside.
var ErrNotAside = errors.New("nothing lies aside under that name")

// PutBack sends a message that was set aside again, as it was, and forgets it: for
// when what it leads to can be read now. The error is ErrNotAside if there is no
// such message, or wraps engine.ErrTooLarge if its body was too long to be kept, and
// engine.ErrExists if the execution that it would start is queued or running.
func (s *Store) PutBack(ctx context.Context, name string) error {
	m, err := s.findAside(ctx, name)
	if err != nil {
		return err
	}
	if m.Header.Get(headerAsideSize) != "" {
		return fmt.Errorf("put %s back: %w: its body was not kept", name, engine.ErrTooLarge)
	}
	again := nats.NewMsg(m.Header.Get(headerAsideSubject))
	again.Data = m.Data
	for header, values := range m.Header {
		if !strings.HasPrefix(header, "Nats-") && !strings.HasPrefix(header, "Durable-Aside-") && header != codec.HeaderWrite {
			again.Header[header] = values
		}
	}
	switch kind, rest := s.layout.split(again.Subject); kind {
	case "due": // which only the timers publish; ready is as good
		again.Subject = s.layout.ns + ".ready." + rest
		exclusive(again)
	case "ready": // it may have run since, so whoever claims it must look
		exclusive(again)
	}
	if _, err := s.publish(ctx, again, nil); err != nil {
		return fmt.Errorf("put %s back: %w", name, err)
	}
	return s.forget(ctx, m)
}

// Forget removes a message that was set aside. The error is ErrNotAside if there is
// none.
func (s *Store) Forget(ctx context.Context, name string) error {
	m, err := s.findAside(ctx, name)
	if err != nil {
		return err
	}
	return s.forget(ctx, m)
}

func (s *Store) findAside(ctx context.Context, name string) (*stored, error) {
	subject := s.layout.recordPrefix() + name
	if !strings.HasPrefix(subject, s.layout.asidePrefix()) || strings.ContainsAny(name, " \t\r\n*>") {
		return nil, fmt.Errorf("%w: %q", ErrNotAside, name)
	}
	m, err := s.last(ctx, s.layout.records(), subject)
	if errors.Is(err, engine.ErrNotFound) || err == nil && isGrave(m) {
		return nil, fmt.Errorf("%w: %q", ErrNotAside, name)
	}
	return m, err
}

func (s *Store) forget(ctx context.Context, m *stored) error {
	grave := nats.NewMsg(m.Subject)
	grave.Header.Set(headerOperation, operationDelete)
	grave.Header.Set(jetstream.MsgTTLHeader, graveTTL)
	_, err := s.putMsg(ctx, grave, m.revision())
	if errors.Is(err, engine.ErrConflict) {
		return nil // somebody was faster
	}
	return err
}
