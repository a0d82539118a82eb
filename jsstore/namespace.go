package jsstore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/durable-execution/durable/codec"
	"github.com/durable-execution/durable/engine"
)

// namespace is the record of a namespace, as JSON under the key =namespace.
type namespace struct {
	Version     int   `json:"version"`
	Shards      int   `json:"shards"`
	LeaseMS     int64 `json:"leaseMs"`
	RetentionMS int64 `json:"retentionMs"` // 0 means for ever; if absent, the default applies
}

const layoutVersion = 1

// lease returns the lease in the record, or DefaultLease if that is missing or invalid.
func (n namespace) lease() time.Duration {
	d, _ := codec.Millis(n.LeaseMS)
	if d <= 0 {
		return DefaultLease
	}
	return d
}

func (n namespace) retention() time.Duration {
	d, fits := codec.Millis(n.RetentionMS)
	if d == 0 || !fits {
		return engine.Forever
	}
	return d
}

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
		want := namespace{Version: layoutVersion, Shards: 1, LeaseMS: DefaultLease.Milliseconds(), RetentionMS: engine.DefaultRetention.Milliseconds()}
		if m != nil {
			if err := json.Unmarshal(m.Data, &want); err != nil {
				return fmt.Errorf("namespace record: %w", err)
			}
			if want.Version > layoutVersion || want.Shards != 1 {
				return fmt.Errorf("namespace record has layout version %d with %d shards: this program knows version %d with 1 shard",
					want.Version, want.Shards, layoutVersion)
			}
		}
		have := want
		if s.config.Lease != 0 {
			want.LeaseMS = s.config.Lease.Milliseconds()
		}
		s.config.Lease = want.lease()
		switch s.config.Retention {
		case 0:
		case engine.Forever:
			want.RetentionMS = 0
		default:
			want.RetentionMS = s.config.Retention.Milliseconds()
		}
		s.config.Retention = want.retention()
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
		_, err = s.put(ctx, s.layout.NamespaceSubject(), data, m.Revision())
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
