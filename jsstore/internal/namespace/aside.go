package namespace

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/durable-execution/durable/codec"
	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/jsstore/internal/message"
	"github.com/durable-execution/durable/jsstore/internal/rpc"
)

// A message that is set aside is stored in the bucket under a key of its own. It keeps its
// headers and gets these in addition. It vanishes after the namespace's retention.
const (
	HeaderAsideSubject = "Durable-Aside-Subject"
	headerAsideReason  = "Durable-Aside-Reason"
	headerAsideTime    = "Durable-Aside-Time" // milliseconds since the epoch
	HeaderAsideSize    = "Durable-Aside-Size" // set if the body was too long to be kept
	// HeaderAsideBlock is the length in bytes of the message's header block, if that could not
	// be kept as headers. The block then precedes the body.
	HeaderAsideBlock = "Durable-Aside-Headers"

	AsideHeaders = "Durable-Aside-"

	// maxReason bounds the reason, in bytes.
	maxReason = 1 << 10
)

// KeepAside stores a copy of a message of a stream in the bucket.
func (s *Namespace) KeepAside(ctx context.Context, stream string, m *rpc.Stored, reason string) error {
	kept := nats.NewMsg(s.Layout.AsideSubject(stream, m.Sequence, m.Time.UnixMilli()))
	kept.Data = m.Data
	block := m.Block
	if block == nil {
		kept.Header, block = keptHeaders(m.Header)
	}
	if len(block) > 0 {
		kept.Header.Set(HeaderAsideBlock, strconv.Itoa(len(block)))
		kept.Data = slices.Concat(block, m.Data)
	}
	if len(reason) > maxReason {
		reason = strings.ToValidUTF8(reason[:maxReason], "")
	}
	kept.Header.Set(HeaderAsideSubject, m.Subject)
	// A header value is a single line.
	kept.Header.Set(headerAsideReason, strings.NewReplacer("\r", " ", "\n", " ").Replace(reason))
	kept.Header.Set(headerAsideTime, strconv.FormatInt(m.Time.UnixMilli(), 10))
	if d := s.Limits.Retention; d > 0 && d != engine.Forever {
		kept.Header.Set(jetstream.MsgTTLHeader, message.Seconds(d))
	}
	if int64(kept.Size()) > s.RPC.Conn.MaxPayload()-1024 { // the copy has more headers than the message had
		kept.Header.Set(HeaderAsideSize, strconv.Itoa(len(m.Data)))
		kept.Header.Del(HeaderAsideBlock)
		kept.Data = nil
	}
	_, err := s.PutMsg(ctx, kept, 0)
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
	return message.IsName(name) && !strings.HasPrefix(name, AsideHeaders) && strings.TrimSpace(value) == value && !strings.ContainsAny(value, "\r\n")
}

func (s *Namespace) Aside(m *rpc.Stored) engine.Aside {
	a := engine.Aside{
		Name: strings.TrimPrefix(m.Subject, s.Layout.RecordPrefix()), Place: m.Header.Get(HeaderAsideSubject),
		Reason: m.Header.Get(headerAsideReason), At: m.Time.UTC(), Size: len(m.Data),
	}
	h := message.Reader{Header: m.Header}
	if ms := h.Integer(headerAsideTime); ms != 0 {
		a.At = message.Instant(ms)
	}
	a.Size -= min(max(int(h.Integer(HeaderAsideBlock)), 0), a.Size)
	if n := h.Integer(HeaderAsideSize); n != 0 {
		a.Size = int(n)
	}
	if id := s.Layout.IDIn(a.Place); engine.ValidateID(id) == nil {
		a.ID = id
	}
	return a
}

func (s *Namespace) Damaged(m *rpc.Stored, reason error) engine.Aside {
	id := strings.TrimPrefix(m.Subject, s.Layout.RecordPrefix())
	return engine.Aside{Name: id, ID: id, Place: m.Subject, Record: true, Reason: reason.Error(), At: m.Time.UTC(), Size: len(m.Data)}
}

// TakeOut sets aside a message that nobody can act upon, and then removes it from its stream.
// In this order a crash in between leaves two copies and not none.
func (s *Namespace) TakeOut(ctx context.Context, stream string, m *rpc.Stored, reason string) error {
	if err := s.KeepAside(ctx, stream, m, reason); err != nil {
		return err
	}
	return s.RPC.DeleteMessage(ctx, stream, m.Sequence)
}
