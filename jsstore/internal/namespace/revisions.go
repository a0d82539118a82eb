package namespace

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/jsstore/internal/layout"
	"github.com/durable-execution/durable/jsstore/internal/rpc"
)

// A write to the bucket that replaces a revision also removes it, and the removal must leave a
// trace on the disk. A limit of messages per subject leaves none (nats-server 2.15.2,
// removeMsgFromBlock): if the newest revision is removed later, by its time to live or by a
// purge, and the server is killed, the server finds the older revision in its files and takes
// it for the record. Then a deleted tree is back, and running. A rollup removes by purge, which
// leaves a trace. So the limit must never be reached, and each write that may replace a
// revision carries the rollup header; only [replacing] sets it.
//
// An executor of an earlier version writes without the rollup, so its records keep older
// revisions if the limit is 64. The next write of a program that knows this rule removes them;
// tidy removes the others. Every reader uses only the last revision.

// KeepsOne reports whether the bucket was created by a version that let the limit remove
// revisions.
func KeepsOne(have jetstream.StreamConfig) bool { return have.MaxMsgsPerSubject == 1 }

// Raise makes the bucket keep more than one revision. A caller without the right to change a
// stream continues without it: until somebody else raises it, everything works as it did
// before.
func (s *Namespace) Raise(ctx context.Context, have jetstream.StreamConfig) (raised bool, err error) {
	have.MaxMsgsPerSubject = layout.Revisions
	before := s.RPC.Conn.LastError()
	ctx, cancel := context.WithTimeout(ctx, rpc.ManageTimeout)
	defer cancel()
	denied := errors.New("permission to change it is denied")
	ctx, deny := context.WithCancelCause(ctx)
	defer deny(nil)
	go func() { // the server does not answer a denied request; it reports the denial on the connection
		for {
			select {
			case <-ctx.Done():
				return
			case <-time.After(10 * time.Millisecond):
				if now := s.RPC.Conn.LastError(); now != before && errors.Is(now, nats.ErrPermissionViolation) {
					deny(denied)
				}
			}
		}
	}()
	_, err = s.RPC.JS.UpdateStream(ctx, have)
	if err != nil && context.Cause(ctx) == denied {
		err = denied
	}
	return err == nil, err
}

// Histories returns the subjects of the bucket that have more than one revision, according to
// the leader. There are none unless a program of an earlier version has replaced a record.
func (s *Namespace) Histories(ctx context.Context) (map[string]uint64, error) {
	var info struct {
		Error *jetstream.APIError `json:"error"`
		Total int                 `json:"total"`
		Limit int                 `json:"limit"`
		State struct {
			Messages uint64            `json:"messages"`
			Subjects map[string]uint64 `json:"subjects"`
			Number   uint64            `json:"num_subjects"`
		} `json:"state"`
	}
	ask := func(what map[string]any) error {
		body, err := json.Marshal(what)
		if err != nil {
			return err
		}
		info.Error, info.State.Subjects = nil, nil
		err = s.RPC.API(ctx, "STREAM.INFO."+s.Layout.Records(), body, &info)
		if err == nil && info.Error != nil {
			err = rpc.Error(info.Error)
		}
		if err != nil {
			return fmt.Errorf("count revisions: %w", err)
		}
		return nil
	}
	if err := ask(map[string]any{}); err != nil || info.State.Messages == info.State.Number {
		return nil, err
	}
	found := map[string]uint64{}
	for offset := 0; ; {
		if err := ask(map[string]any{"subjects_filter": s.Layout.RecordPrefix() + ">", "offset": offset}); err != nil {
			return nil, err
		}
		for subject, n := range info.State.Subjects {
			if n > 1 {
				found[subject] = n
			}
		}
		if offset += len(info.State.Subjects); len(info.State.Subjects) == 0 || offset >= info.Total {
			return found, nil
		}
	}
}

// ScanLast returns the last revision of each key of the bucket that matches one of the
// subjects, subject by subject: first the keys with one revision, in order, then the others.
func (s *Namespace) ScanLast(ctx context.Context, subjects ...string) iter.Seq2[*rpc.Stored, error] {
	return func(yield func(*rpc.Stored, error) bool) {
		several, err := s.Histories(ctx)
		if err != nil {
			yield(nil, err)
			return
		}
		for _, subject := range subjects {
			met := map[string]bool{}
			for m, err := range s.RPC.Scan(ctx, s.Layout.Records(), subject) {
				if err == nil && several[m.Subject] > 1 {
					met[m.Subject] = true
					continue
				}
				if !yield(m, err) || err != nil {
					return
				}
			}
			for key := range met {
				m, err := s.RPC.Last(ctx, s.Layout.Records(), key)
				if errors.Is(err, engine.ErrNotFound) {
					continue
				}
				if !yield(m, err) || err != nil {
					return
				}
			}
		}
	}
}

// Tidy removes the older revisions that programs of an earlier version have left, and returns
// the number of their keys. It uses purges, which leave a trace. Otherwise the older revision
// would become the record when the last one vanishes by its time to live.
func (s *Namespace) Tidy(ctx context.Context) (int, error) {
	found, err := s.Histories(ctx)
	if err != nil {
		return 0, err
	}
	for subject := range found {
		if err := s.RPC.Change(ctx, "STREAM.PURGE."+s.Layout.Records(), map[string]any{"filter": subject, "keep": 1}); err != nil {
			return 0, fmt.Errorf("remove older revisions of %s: %w", subject, err)
		}
	}
	return len(found), nil
}
