package jsstore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/jsstore/internal/namespace"
)

// readNamespace reads or writes the settings that everyone who opens the namespace must agree
// on.
func (s *Store) readNamespace(ctx context.Context) error {
	for {
		m, err := s.rpc.Last(ctx, s.layout.Records(), s.layout.NamespaceSubject())
		if err != nil && !errors.Is(err, engine.ErrNotFound) {
			return fmt.Errorf("namespace record: %w", err)
		}
		did := Found
		if m == nil {
			if s.config.MustExist {
				return fmt.Errorf("namespace record: %w", s.missing(""))
			}
			did = Made
		}
		want := namespace.Settings{Version: namespace.LayoutVersion, Shards: 1, LeaseMS: namespace.DefaultLease.Milliseconds(), RetentionMS: engine.DefaultRetention.Milliseconds()}
		if m != nil {
			if err := json.Unmarshal(m.Data, &want); err != nil {
				return fmt.Errorf("namespace record: %w", err)
			}
			if want.Version > namespace.LayoutVersion || want.Shards != 1 {
				return fmt.Errorf("namespace record has layout version %d with %d shards: this program knows version %d with 1 shard",
					want.Version, want.Shards, namespace.LayoutVersion)
			}
		}
		have := want
		if s.config.Lease != 0 {
			want.LeaseMS = s.config.Lease.Milliseconds()
		}
		s.ns.Limits.Lease = want.Lease()
		switch s.config.Retention {
		case 0:
		case engine.Forever:
			want.RetentionMS = 0
		default:
			want.RetentionMS = s.config.Retention.Milliseconds()
		}
		s.ns.Limits.Retention = want.Retention()
		if m != nil && have == want {
			s.told(Part{Kind: "record", Name: s.layout.NamespaceKey(), Did: did})
			return nil
		}
		if s.config.MustExist {
			return s.differs(have, want)
		}
		data, err := json.Marshal(want)
		if err != nil {
			return fmt.Errorf("namespace record: %w", err)
		}
		_, err = s.ns.Put(ctx, s.layout.NamespaceSubject(), data, m.Revision())
		if errors.Is(err, engine.ErrConflict) {
			continue
		}
		if m != nil {
			did = Changed
		}
		if err == nil {
			s.told(Part{Kind: "record", Name: s.layout.NamespaceKey(), Did: did})
		}
		return err
	}
}
