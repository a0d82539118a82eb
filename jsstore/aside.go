package jsstore

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/durable-execution/durable/jsstore/internal/message"

	"github.com/durable-execution/durable/jsstore/internal/rpc"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/durable-execution/durable/codec"
	"github.com/durable-execution/durable/engine"
)

// A message that is set aside is stored in the bucket under a key of its own. It keeps its
// headers and gets these in addition. It vanishes after the namespace's retention.
const (
	headerAsideSubject = "Durable-Aside-Subject"
	headerAsideReason  = "Durable-Aside-Reason"
	headerAsideTime    = "Durable-Aside-Time" // milliseconds since the epoch
	headerAsideSize    = "Durable-Aside-Size" // set if the body was too long to be kept
	// headerAsideBlock is the length in bytes of the message's header block, if that could not
	// be kept as headers. The block then precedes the body.
	headerAsideBlock = "Durable-Aside-Headers"

	asideHeaders = "Durable-Aside-"

	// maxReason bounds the reason, in bytes.
	maxReason = 1 << 10
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
	return s.keepAside(ctx, about.stream, kept, reason)
}

// keepAside stores a copy of a message of a stream in the bucket.
func (s *Store) keepAside(ctx context.Context, stream string, m *rpc.Stored, reason string) error {
	kept := nats.NewMsg(s.layout.AsideSubject(stream, m.Sequence, m.Time.UnixMilli()))
	kept.Data = m.Data
	block := m.Block
	if block == nil {
		kept.Header, block = keptHeaders(m.Header)
	}
	if len(block) > 0 {
		kept.Header.Set(headerAsideBlock, strconv.Itoa(len(block)))
		kept.Data = slices.Concat(block, m.Data)
	}
	if len(reason) > maxReason {
		reason = strings.ToValidUTF8(reason[:maxReason], "")
	}
	kept.Header.Set(headerAsideSubject, m.Subject)
	// A header value is a single line.
	kept.Header.Set(headerAsideReason, strings.NewReplacer("\r", " ", "\n", " ").Replace(reason))
	kept.Header.Set(headerAsideTime, strconv.FormatInt(m.Time.UnixMilli(), 10))
	if d := s.config.Retention; d > 0 && d != engine.Forever {
		kept.Header.Set(jetstream.MsgTTLHeader, message.Seconds(d))
	}
	if int64(kept.Size()) > s.rpc.Conn.MaxPayload()-1024 { // the copy has more headers than the message had
		kept.Header.Set(headerAsideSize, strconv.Itoa(len(m.Data)))
		kept.Header.Del(headerAsideBlock)
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

// maxKeptHeaders is how many bytes of headers are kept as headers. The server accepts 64 KiB.
const maxKeptHeaders = 32 << 10

// keptHeaders returns the headers of a message that is set aside. It returns them as a block,
// which goes before the body, if there are too many, if storing them would change them, or if
// they would mean something to a reader of the bucket.
func keptHeaders(all nats.Header) (kept nats.Header, block []byte) {
	kept = nats.Header{}
	plain, size := true, 0
	for name, values := range all {
		if strings.HasPrefix(name, "Nats-") {
			continue
		}
		kept[name] = values
		for _, v := range values {
			size += len(name) + len(v)
			plain = plain && isPlain(name, v)
		}
	}
	if plain && size <= maxKeptHeaders {
		return kept, nil
	}
	block = []byte("NATS/1.0\r\n")
	for _, name := range slices.Sorted(maps.Keys(kept)) {
		for _, v := range kept[name] {
			block = append(block, name+": "+v+"\r\n"...)
		}
	}
	return nats.Header{}, append(block, "\r\n"...)
}

// isPlain reports whether a copy in the bucket can have a header as it is.
func isPlain(name, value string) bool {
	switch name {
	case message.HeaderOperation, codec.HeaderWrite, "Status", "Description":
		return false
	}
	return message.IsName(name) && !strings.HasPrefix(name, asideHeaders) && strings.TrimSpace(value) == value && !strings.ContainsAny(value, "\r\n")
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
		for m, err := range s.scanLast(ctx, s.layout.AsideSubjects()) {
			if err != nil {
				yield(engine.Aside{}, err)
				return
			}
			if !message.IsGrave(m) && !yield(s.aside(m), nil) {
				return
			}
		}
		for m, err := range s.scanLast(ctx, s.recordsUnder("")...) {
			if err != nil {
				yield(engine.Aside{}, err)
				return
			}
			if s.isOwn(m) {
				continue
			}
			if _, err := message.DecodeRecord(m); errors.Is(err, engine.ErrDamaged) && !yield(s.damaged(m, err), nil) {
				return
			}
		}
	}
}

func (s *Store) aside(m *rpc.Stored) engine.Aside {
	a := engine.Aside{
		Name: strings.TrimPrefix(m.Subject, s.layout.RecordPrefix()), Place: m.Header.Get(headerAsideSubject),
		Reason: m.Header.Get(headerAsideReason), At: m.Time.UTC(), Size: len(m.Data),
	}
	h := message.Reader{Header: m.Header}
	if ms := h.Integer(headerAsideTime); ms != 0 {
		a.At = message.Instant(ms)
	}
	a.Size -= min(max(int(h.Integer(headerAsideBlock)), 0), a.Size)
	if n := h.Integer(headerAsideSize); n != 0 {
		a.Size = int(n)
	}
	if id := s.layout.IDIn(a.Place); engine.ValidateID(id) == nil {
		a.ID = id
	}
	return a
}

func (s *Store) damaged(m *rpc.Stored, reason error) engine.Aside {
	id := strings.TrimPrefix(m.Subject, s.layout.RecordPrefix())
	return engine.Aside{Name: id, ID: id, Place: m.Subject, Record: true, Reason: reason.Error(), At: m.Time.UTC(), Size: len(m.Data)}
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
	if m.Header.Get(headerAsideSize) != "" {
		return fmt.Errorf("put %s back: %w: its body was not kept", name, engine.ErrTooLarge)
	}
	again := nats.NewMsg(m.Header.Get(headerAsideSubject))
	again.Data = m.Data
	if n, err := strconv.Atoi(m.Header.Get(headerAsideBlock)); err == nil && n >= 0 && n <= len(m.Data) {
		again.Data = m.Data[n:]
		if again.Header, err = nats.DecodeHeadersMsg(m.Data[:n]); err != nil {
			return fmt.Errorf("put %s back: %w: %w", name, engine.ErrDamaged, rpc.ErrBlock)
		}
	} else {
		for header, values := range m.Header {
			if !strings.HasPrefix(header, "Nats-") && !strings.HasPrefix(header, asideHeaders) && header != codec.HeaderWrite {
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
	_, err := s.putMsg(ctx, grave, m.Revision())
	if errors.Is(err, engine.ErrConflict) {
		return nil // somebody was faster
	}
	return err
}
