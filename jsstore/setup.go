package jsstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/jsstore/internal/layout"
	"github.com/durable-execution/durable/jsstore/internal/namespace"
)

// ErrMissing says that something of a namespace is missing, although it must exist: see
// [Config.MustExist].
var ErrMissing = errors.New("missing")

// A Part is a part of a namespace, with what SetUp did about it.
type Part struct {
	Kind string // stream, record, or consumer
	Name string // for a consumer: the name of its stream, a space, and its own name
	Did  Did
	// Replicas and MaxMessages are the current settings of a stream; -1 messages means no
	// limit.
	Replicas    int
	MaxMessages int64
}

// Did says what SetUp did about a Part.
type Did string

// The values of Did.
const (
	Found   Did = "found"   // it existed and was right
	Made    Did = "made"    // it did not exist
	Changed Did = "changed" // it existed with other settings
)

// SetUp creates everything that opening a namespace and executing these queues would create, so
// that programs with [Config.MustExist], or with credentials that may create nothing, find it.
// It changes existing streams and the namespace record to the settings in c that are not zero,
// including Replicas and MaxReady; MaxReady -1 means no limit. It leaves other settings to
// operators. A second call with the same arguments changes nothing. If SetUp fails, it returns
// the parts that it had found or created until then.
func SetUp(ctx context.Context, nc *nats.Conn, c Config, queues ...string) ([]Part, error) {
	for _, q := range queues {
		if err := engine.ValidateQueue(q); err != nil {
			return nil, fmt.Errorf("set up: %w", err)
		}
	}
	var parts []Part
	c.MustExist = false
	s, err := open(ctx, nc, c, nil, func(p Part) { parts = append(parts, p) })
	if err != nil {
		return parts, err
	}
	err = s.adjust(ctx, c, parts)
	sources := []layout.Source{s.layout.ClosureSource(), s.layout.CancelSource(), s.layout.ExpirySource()}
	for _, q := range queues {
		sources = append(sources, s.layout.QueueSources(q)...)
	}
	for i := 0; err == nil && i < len(sources); i++ {
		if err = s.makeConsumer(ctx, sources[i]); err != nil {
			err = fmt.Errorf("consumer %s of %s: %w", sources[i].Consumer, sources[i].Stream, err)
		}
	}
	if err != nil {
		err = fmt.Errorf("set up namespace %s: %w", s.layout.NS, err)
	}
	return parts, errors.Join(err, s.Close())
}

// adjust changes streams to the settings in c, and updates parts accordingly.
func (s *Store) adjust(ctx context.Context, c Config, parts []Part) error {
	for i := range parts {
		p := &parts[i]
		if p.Kind != "stream" {
			continue
		}
		replicas, most := p.Replicas, p.MaxMessages
		if c.Replicas != 0 {
			replicas = c.Replicas
		}
		if c.MaxReady != 0 && p.Name == s.layout.Ready() {
			most = c.MaxReady
		}
		if replicas == p.Replicas && most == p.MaxMessages {
			continue
		}
		err := s.rpc.Manage(ctx, func(ctx context.Context) error {
			st, err := s.rpc.JS.Stream(ctx, p.Name)
			if err != nil {
				return err
			}
			next := st.CachedInfo().Config // keeps all other settings
			next.Replicas, next.MaxMsgs = replicas, most
			_, err = s.rpc.JS.UpdateStream(ctx, next)
			return err
		})
		if err != nil {
			return fmt.Errorf("stream %s: %w", p.Name, err)
		}
		p.Replicas, p.MaxMessages, p.Did = replicas, most, Changed
	}
	return nil
}

func (s *Store) told(p Part) {
	if s.tell != nil {
		s.tell(p)
	}
}

// missing returns the error for a missing part of a namespace, or of a queue if queue is not
// empty.
func (s *Store) missing(queue string) error {
	command := s.ns.Command("setup")
	if queue != "" {
		command += " --queue " + queue
	}
	return fmt.Errorf("%w: %s makes it", ErrMissing, command)
}

// differs returns the error for settings of a namespace that must not be changed.
func (s *Store) differs(have, want namespace.Settings) error {
	if have.LeaseMS != want.LeaseMS {
		return fmt.Errorf("namespace record: the lease is %s, not %s: durable setup --lease %[2]s changes it",
			have.Lease(), want.Lease())
	}
	return fmt.Errorf("namespace record: the retention is %s, not %s: durable setup --retention %[2]s changes it",
		retentionText(have.Retention()), retentionText(want.Retention()))
}

func retentionText(d time.Duration) string {
	if d == engine.Forever {
		return "forever"
	}
	return d.String()
}
