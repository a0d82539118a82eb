package jsstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/durable-execution/durable/engine"
)

// ErrMissing says that something is missing of a namespace that must exist: see
// [Config.MustExist].
var ErrMissing = errors.New("missing")

// A Part is something that a namespace consists of, and what SetUp did about it.
type Part struct {
	Kind string // stream, record, or consumer
	Name string // of a consumer: that of its stream, a space, and its own
	Did  Did
	// Replicas and MaxMessages are a stream's as they are now; -1 messages is no limit.
	Replicas    int
	MaxMessages int64
}

// Did says how a Part came to be as it is.
type Did string

// What SetUp does about a Part.
const (
	Found   Did = "found"   // it was there and right
	Made    Did = "made"    // it was not there
	Changed Did = "changed" // it was there and had other numbers
)

// SetUp makes all of a namespace that opening it and executing the queues would
// make, so that programs with [Config.MustExist], or with credentials that may make
// nothing, find it there. Done again it changes nothing. It gives what is there the
// numbers of c that are not zero, Replicas and MaxReady included, of which a
// MaxReady of -1 is no limit; what else operators may choose it leaves. It returns
// what it found and made, up to where it failed.
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
	sources := []source{s.layout.closureSource(), s.layout.cancelSource(), s.layout.expirySource()}
	for _, q := range queues {
		sources = append(sources, s.layout.queueSources(q)...)
	}
	for i := 0; err == nil && i < len(sources); i++ {
		if err = s.makeConsumer(ctx, sources[i]); err != nil {
			err = fmt.Errorf("consumer %s of %s: %w", sources[i].consumer, sources[i].stream, err)
		}
	}
	if err != nil {
		err = fmt.Errorf("set up namespace %s: %w", s.layout.ns, err)
	}
	return parts, errors.Join(err, s.Close())
}

// adjust gives streams the numbers that c asks for, and parts what they have then.
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
		if c.MaxReady != 0 && p.Name == s.layout.ready() {
			most = c.MaxReady
		}
		if replicas == p.Replicas && most == p.MaxMessages {
			continue
		}
		err := s.manage(ctx, func(ctx context.Context) error {
			st, err := s.js.Stream(ctx, p.Name)
			if err != nil {
				return err
			}
			next := st.CachedInfo().Config // all the rest as it is
			next.Replicas, next.MaxMsgs = replicas, most
			_, err = s.js.UpdateStream(ctx, next)
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

// missing is the error for what a namespace must have, or what a queue must.
func (s *Store) missing(queue string) error {
	command := s.command("setup")
	if queue != "" {
		command += " --queue " + queue
	}
	return fmt.Errorf("%w: %s makes it", ErrMissing, command)
}

// command is one of the program durable that is about this namespace.
func (s *Store) command(words string) string {
	if s.layout.ns != DefaultNamespace {
		words += " --namespace " + s.layout.ns
	}
	return "durable " + words
}

// differs is the error for numbers of a namespace that are not to be changed.
func (s *Store) differs(have, want namespace) error {
	if have.LeaseMS != want.LeaseMS {
		return fmt.Errorf("namespace record: the lease is %s, not %s: durable setup --lease %[2]s changes it",
			have.lease(), want.lease())
	}
	return fmt.Errorf("namespace record: the retention is %s, not %s: durable setup --retention %[2]s changes it",
		retentionText(have.retention()), retentionText(want.retention()))
}

func retentionText(d time.Duration) string {
	if d == engine.Forever {
		return "forever"
	}
	return d.String()
}
