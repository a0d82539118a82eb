package jsstore

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/durable-execution/durable/jsstore/internal/message"

	"github.com/durable-execution/durable/jsstore/internal/rpc"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nuid"

	"github.com/durable-execution/durable/codec"
	"github.com/durable-execution/durable/engine"
)

// put writes data to a subject that is at a certain revision. The write carries an id of its
// own: if the answer gets lost and the retry finds a message with this id, the first try has
// succeeded.
func (s *Store) put(ctx context.Context, subject string, data []byte, at engine.Revision) (engine.Revision, error) {
	return s.putMsg(ctx, &nats.Msg{Subject: subject, Data: data, Header: nats.Header{}}, at)
}

// putMsg is put for a message that has headers of its own.
func (s *Store) putMsg(ctx context.Context, m *nats.Msg, at engine.Revision) (engine.Revision, error) {
	write := nuid.Next()
	h := message.Headers{m.Header, make([]string, 0, 2)}
	if at != 0 {
		message.Replacing(m.Header)
	}
	h.Set(jetstream.ExpectedLastSubjSeqHeader, strconv.FormatUint(uint64(at), 10))
	h.Set(codec.HeaderWrite, write)
	var revision engine.Revision
	err := s.rpc.Persist(ctx, func(n int) error {
		answer, err := s.rpc.Request(ctx, m)
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
		revision, err = s.own(ctx, m.Subject, write, at, err)
		return err
	})
	return revision, err
}

// own resolves the conflict of a repeated write. It returns the revision if the write conflicts
// with its own earlier try, and errNoAnswer if the earlier try may still be in flight.
func (s *Store) own(ctx context.Context, subject, write string, at engine.Revision, conflict error) (engine.Revision, error) {
	m, err := s.rpc.Last(ctx, s.layout.Records(), subject)
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

// Update implements [engine.Store].
func (s *Store) Update(ctx context.Context, x engine.Execution, at engine.Revision) (engine.Revision, error) {
	if err := s.keepPayloads(ctx, &x); err != nil {
		return 0, err
	}
	if err := s.keepSpawns(ctx, &x); err != nil {
		return 0, err
	}
	buffer := rpc.TakeBuffer()
	data, err := engine.EncodeRecordIn(*buffer, &x)
	if err != nil {
		return 0, err
	}
	if most := int(s.rpc.Conn.MaxPayload()) - 1024; len(data) > most {
		return 0, fmt.Errorf("%w: record of %d bytes, the limit is %d", engine.ErrTooLarge, len(data), most)
	}
	m := &nats.Msg{Subject: s.layout.RecordSubject(x.ID), Data: data, Header: nats.Header{}}
	if d, ends := x.TimeToLive(s.Limits()); ends {
		m.Header.Set(jetstream.MsgTTLHeader, message.Seconds(d))
	}
	revision, err := s.putOver(ctx, m, at, &x)
	if err == nil { // otherwise the message may still be on its way
		rpc.GiveBack(buffer, data)
	}
	return revision, err
}

// Get implements [engine.Store].
func (s *Store) Get(ctx context.Context, id string) (engine.Record, error) {
	r, err := s.record(ctx, id)
	if !errors.Is(err, engine.ErrNotFound) {
		return r, err
	}
	gone := r // from an earlier life, unless a queued message says otherwise
	r, err = s.queued(ctx, id)
	switch {
	case errors.Is(err, engine.ErrNotFound):
		return s.record(ctx, id)
	case gone.ID != "" && gone.SameLife(&r.Execution):
		return gone, nil // the queued message led to this record and is not acknowledged yet
	}
	return r, err
}

func (s *Store) record(ctx context.Context, id string) (engine.Record, error) {
	if err := engine.ValidateID(id); err != nil {
		return engine.Record{}, err
	}
	m, err := s.rpc.Last(ctx, s.layout.Records(), s.layout.RecordSubject(id))
	var r engine.Record
	if err == nil {
		r, err = s.decodeRecord(m)
	}
	if err != nil {
		return r, fmt.Errorf("execution %s: %w", id, err)
	}
	return r, nil
}

// decodeRecord decodes a record and checks its retention. For a record that should have been
// removed by now it returns ErrNotFound, together with the record.
func (s *Store) decodeRecord(m *rpc.Stored) (engine.Record, error) {
	r, err := message.DecodeRecord(m)
	if err == nil && s.outlived(m, &r.Execution) {
		return r, fmt.Errorf("%w: its retention is over", engine.ErrNotFound)
	}
	return r, err
}

// outlived reports whether a record should have been removed by now. If the record has a time
// to live, that counts: the record got it when it finished.
func (s *Store) outlived(m *rpc.Stored, x *engine.Execution) bool {
	now := time.Now()
	return x.Gone(s.Limits(), now) && !message.Vanishes(m).After(now)
}

// GetMany implements [engine.Store]. It asks the leader for records that the replica does not
// have, or shows as unfinished, and for records that the answer had no room for.
func (s *Store) GetMany(ctx context.Context, ids []string) ([]engine.Record, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	subjects := make([]string, len(ids))
	for i, id := range ids {
		if err := engine.ValidateID(id); err != nil {
			return nil, err
		}
		subjects[i] = s.layout.RecordSubject(id)
	}
	found := make(map[string]engine.Record, len(ids))
	for m, err := range s.rpc.LastOf(ctx, s.layout.Records(), subjects) {
		if err != nil {
			return nil, err
		}
		r, err := s.decodeRecord(m)
		if errors.Is(err, engine.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		found[r.ID] = r
	}
	list := make([]engine.Record, len(ids))
	var missing []error
	for i, id := range ids {
		r, ok := found[id]
		if !ok || !r.Status.Finished() {
			var err error
			if r, err = s.Get(ctx, id); err != nil {
				missing = append(missing, err)
			}
		}
		list[i] = r
	}
	if len(missing) > 0 {
		return nil, errors.Join(missing...)
	}
	return list, nil
}
