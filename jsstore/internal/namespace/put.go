package namespace

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nuid"

	"github.com/durable-execution/durable/codec"
	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/jsstore/internal/message"
	"github.com/durable-execution/durable/jsstore/internal/rpc"
)

// Put writes data to a subject that is at a certain revision. The write carries an id of its
// own: if the answer gets lost and the retry finds a message with this id, the first try has
// succeeded.
func (s *Namespace) Put(ctx context.Context, subject string, data []byte, at engine.Revision) (engine.Revision, error) {
	return s.PutMsg(ctx, &nats.Msg{Subject: subject, Data: data, Header: nats.Header{}}, at)
}

// PutMsg is put for a message that has headers of its own.
func (s *Namespace) PutMsg(ctx context.Context, m *nats.Msg, at engine.Revision) (engine.Revision, error) {
	write := nuid.Next()
	h := message.HeadersIn(m.Header, 2)
	if at != 0 {
		message.Replacing(m.Header)
	}
	h.Set(jetstream.ExpectedLastSubjSeqHeader, strconv.FormatUint(uint64(at), 10))
	h.Set(codec.HeaderWrite, write)
	var revision engine.Revision
	err := s.RPC.Persist(ctx, func(n int) error {
		answer, err := s.RPC.Request(ctx, m)
		if err != nil {
			return err
		}
		seq, err := rpc.PubAck(answer)
		if err == nil {
			revision = engine.Revision(seq)
			return nil
		}
		if n == 0 || !errors.Is(err, engine.ErrConflict) {
			return err
		}
		revision, err = s.Own(ctx, m.Subject, write, at, err)
		return err
	})
	return revision, err
}

// Own resolves the conflict of a repeated write. It returns the revision if the write conflicts
// with its own earlier try, and errNoAnswer if the earlier try may still be in flight.
func (s *Namespace) Own(ctx context.Context, subject, write string, at engine.Revision, conflict error) (engine.Revision, error) {
	m, err := s.RPC.Last(ctx, s.Layout.Records(), subject)
	if errors.Is(err, engine.ErrNotFound) {
		m, err = nil, nil
	}
	switch {
	case err != nil:
		return 0, err
	case m != nil && m.Header.Get(codec.HeaderWrite) == write:
		return m.Revision(), nil
	case m.Revision() == at:
		return 0, rpc.ErrNoAnswer
	}
	return 0, conflict
}

func (s *Namespace) Record(ctx context.Context, id string) (engine.Record, error) {
	if err := engine.ValidateID(id); err != nil {
		return engine.Record{}, err
	}
	m, err := s.RPC.Last(ctx, s.Layout.Records(), s.Layout.RecordSubject(id))
	var r engine.Record
	if err == nil {
		r, err = s.DecodeRecord(m)
	}
	if err != nil {
		return r, fmt.Errorf("execution %s: %w", id, err)
	}
	return r, nil
}

// DecodeRecord decodes a record and checks its retention. For a record that should have been
// removed by now it returns ErrNotFound, together with the record.
func (s *Namespace) DecodeRecord(m *rpc.Stored) (engine.Record, error) {
	r, err := message.DecodeRecord(m)
	if err == nil && s.Outlived(m, &r.Execution) {
		return r, fmt.Errorf("%w: its retention is over", engine.ErrNotFound)
	}
	return r, err
}

// Outlived reports whether a record should have been removed by now. If the record has a time
// to live, that counts: the record got it when it finished.
func (s *Namespace) Outlived(m *rpc.Stored, x *engine.Execution) bool {
	now := time.Now()
	return x.Gone(s.Limits, now) && !message.Vanishes(m).After(now)
}
