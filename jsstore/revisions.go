package jsstore

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
)

// A write to the bucket over a revision removes that revision, and what removes it must
// leave a trace on the disk. A limit of messages per subject leaves none (nats-server
// 2.15.2, removeMsgFromBlock): when the newest revision goes later, by its time to live or
// a purge, and the server is killed, it finds the older one in its files and takes it for
// the record: a deleted tree is back, and running. A rollup removes by purge, which leaves
// the trace. So the limit must be one that is never reached, and each write that may find a
// revision carries the rollup: [replacing] says so, and nothing else.
//
// An executor of an earlier version writes without the rollup, so that its records keep
// older revisions where the limit is 64. The next write of a program that knows this rule
// removes them; tidy removes the others. Every reader takes the last revision alone.

// revisions is how many the bucket keeps of a key: as many as key-value clients take for a
// history. There is only ever one.
const revisions = 64

// Headers of a rollup.
const (
	headerRollup  = "Nats-Rollup"
	rollupSubject = "sub"
)

// replacing marks a write to the bucket that may find an older revision under its key.
func replacing(h nats.Header) { h[headerRollup] = []string{rollupSubject} }

// unconditional is a write to the bucket whatever lies there: what has no record of its own
// and is written twice where an answer was lost.
func unconditional(subject string, data []byte) *nats.Msg {
	m := &nats.Msg{Subject: subject, Data: data, Header: nats.Header{}}
	replacing(m.Header)
	return m
}

// keepsOne reports whether a bucket was made by a version that let the limit remove.
func keepsOne(have jetstream.StreamConfig) bool { return have.MaxMsgsPerSubject == 1 }

// raise has the bucket keep more than one revision. Whoever lacks the right to change a
// stream goes on without: until somebody raises it all is as it was before.
func (s *Store) raise(ctx context.Context, have jetstream.StreamConfig) (raised bool, err error) {
	have.MaxMsgsPerSubject = revisions
	before := s.nc.LastError()
	ctx, cancel := context.WithTimeout(ctx, manageTimeout)
	defer cancel()
	denied := errors.New("permission to change it is denied")
	ctx, deny := context.WithCancelCause(ctx)
	defer deny(nil)
	go func() { // the server does not answer a request that it refuses, but says so beside
		for {
			select {
			case <-ctx.Done():
				return
			case <-time.After(10 * time.Millisecond):
				if now := s.nc.LastError(); now != before && errors.Is(now, nats.ErrPermissionViolation) {
					deny(denied)
				}
			}
		}
	}()
	_, err = s.js.UpdateStream(ctx, have)
	if err != nil && context.Cause(ctx) == denied {
		err = denied
	}
	return err == nil, err
}

// histories returns the subjects of the bucket that have more than one revision, as the
// leader knows them: none, unless a program of an earlier version has written over a record.
func (s *Store) histories(ctx context.Context) (map[string]uint64, error) {
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
		err = s.api(ctx, "STREAM.INFO."+s.layout.records(), body, &info)
		if err == nil && info.Error != nil {
			err = apiError(info.Error)
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
		if err := ask(map[string]any{"subjects_filter": s.layout.recordPrefix() + ">", "offset": offset}); err != nil {
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

// scanLast returns the last revision of each key of the bucket that matches one of the
// subjects, subject by subject: first the keys that have one revision, in order, then the
// others.
func (s *Store) scanLast(ctx context.Context, subjects ...string) iter.Seq2[*stored, error] {
	return func(yield func(*stored, error) bool) {
		several, err := s.histories(ctx)
		if err != nil {
			yield(nil, err)
			return
		}
		for _, subject := range subjects {
			met := map[string]bool{}
			for m, err := range s.scan(ctx, s.layout.records(), subject) {
				if err == nil && several[m.Subject] > 1 {
					met[m.Subject] = true
					continue
				}
				if !yield(m, err) || err != nil {
					return
				}
			}
			for key := range met {
				m, err := s.last(ctx, s.layout.records(), key)
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

// tidy removes the older revisions that programs of an earlier version have left, by purges,
// which leave their trace, and returns of how many keys. Otherwise the older one would be
// the record once the last vanishes by its time to live.
func (s *Store) tidy(ctx context.Context) (int, error) {
	found, err := s.histories(ctx)
	if err != nil {
		return 0, err
	}
	for subject := range found {
		if err := s.change(ctx, "STREAM.PURGE."+s.layout.records(), map[string]any{"filter": subject, "keep": 1}); err != nil {
			return 0, fmt.Errorf("remove older revisions of %s: %w", subject, err)
		}
	}
	return len(found), nil
}
