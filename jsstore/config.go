package jsstore

import (
	"fmt"
	"log/slog"
	"time"

	"github.com/durable-execution/durable/engine"
)

const (
	// DefaultNamespace is the first token of every subject, unless configured.
	DefaultNamespace = "durable"
	// DefaultLease is how long a delivery lasts without being extended.
	DefaultLease = 30 * time.Second

	// pingInterval is a third of the patience, see persist: a connection is given up
	// after two pings, and with it what waits for an answer.
	pingInterval = Patience / 3
	// reconnectWait is the least time between two tries of one server.
	reconnectWait = 250 * time.Millisecond

	minLease = time.Second    // SEMANTICS.md, Crashes and leases
	maxLease = 24 * time.Hour // a crash should not go unnoticed for longer
	maxName  = 32             // leaves the names of streams and subjects readable

	// minAPILevel is that of nats-server 2.14, the first with all that timers need.
	minAPILevel = 4
)

// Config says how a namespace is made and opened. The zero Config is a good one.
type Config struct {
	// Namespace is the first token of every subject and of every stream's name:
	// 1 to 32 of A-Z a-z 0-9 _ -. Empty means DefaultNamespace.
	Namespace string
	// Lease is how long a claim lasts without renewal. Executors renew at a third
	// of it. Zero means what the namespace has, and DefaultLease for a new one;
	// less than 1 s, or more than 24 h, is refused. It bounds how late a crash is noticed. It holds for
	// the whole namespace: opening it with another one changes it.
	Lease time.Duration
	// Retention is how long a finished tree is kept whose root says nothing of it:
	// engine.Forever is for ever, less than 1 s is refused. Zero means what the
	// namespace has, and engine.DefaultRetention for a new one. It holds for the
	// whole namespace, as the lease does, and for what finishes from then on.
	Retention time.Duration
	// MustExist has a namespace opened as it is: nothing is made and nothing changed,
	// consumers of queues included. Where something is missing, or Lease or Retention
	// is given and not what the namespace has, the error says so and how to mend it;
	// it wraps ErrMissing for what is missing. It is for who only looks, and for
	// credentials that may make nothing.
	MustExist bool
	// Replicas of the streams and the bucket, when they are made: 1 to 5. Zero means 1.
	Replicas int
	// MaxReady is how many executions may be due or running at once, when the
	// stream is made; one more root is refused with ErrQueueFull. What belongs to work that
	// was accepted - children, steps, finalizes, retries, timers - always has room, beside
	// it. Zero means no limit.
	MaxReady int64
	// PayloadLimit is the most bytes that an input or an output may have; one byte
	// more is refused with ErrTooLarge. Zero means DefaultPayloadLimit; more than
	// 1 GiB is refused. What is too long for a message is stored in several, so that
	// the limit is one on memory: each slot of an executor may need a few times as
	// much. It is this process's own.
	PayloadLimit int
	// GroupWrites has writes that come together sent as one batch, for a server that
	// forces each message to the disk before it answers (sync_interval: always): it does
	// so once for a batch. It is worth some when dozens of executions run at once, and
	// costs time on a server that syncs by the clock. It is this process's own. An
	// embedded server that syncs always is opened with it.
	GroupWrites bool
	// Domain is the JetStream domain that the namespace is in, where that is not the
	// one of the server that is connected to: a leaf node's hub, for instance. The
	// namespace's subjects, and its answers, must come through to there. APIPrefix is
	// what the subjects of the JetStream API begin with in its stead, such as JS.hub.API,
	// where an account imports them under another name; $KV.> of the bucket is then
	// expected behind it too, as key-value clients do. Empty means neither; both are
	// refused.
	Domain, APIPrefix string
	// Logger gets what an operator should know of the connection and of what is asked of
	// the server without end: when it is lost, each minute that it stays lost, and when it
	// is restored. Nil means slog.Default().
	Logger *slog.Logger
}

func (c Config) withDefaults() (Config, error) {
	if c.Namespace == "" {
		c.Namespace = DefaultNamespace
	}
	if c.Replicas == 0 {
		c.Replicas = 1
	}
	if c.MaxReady == 0 {
		c.MaxReady = -1
	}
	if err := engine.ValidateRetention(c.Retention); err != nil {
		return c, err
	}
	if c.PayloadLimit == 0 {
		c.PayloadLimit = DefaultPayloadLimit
	}
	switch {
	case c.PayloadLimit < 0 || c.PayloadLimit > largestPayloadLimit:
		return c, fmt.Errorf("payload limit %d: want 1 to %d bytes", c.PayloadLimit, largestPayloadLimit)
	case c.Domain != "" && c.APIPrefix != "":
		return c, fmt.Errorf("JetStream domain %q and API prefix %q: give one", c.Domain, c.APIPrefix)
	case c.Lease != 0 && c.Lease < minLease:
		return c, fmt.Errorf("lease %s: less than %s", c.Lease, minLease)
	case c.Lease > maxLease:
		return c, fmt.Errorf("lease %s: more than %s", c.Lease, maxLease)
	case c.Replicas < 1 || c.Replicas > 5:
		return c, fmt.Errorf("%d replicas: want 1 to 5", c.Replicas)
	case len(c.Namespace) > maxName || engine.ValidateQueue(c.Namespace) != nil:
		return c, fmt.Errorf("namespace %q: want 1 to %d of A-Z a-z 0-9 _ -", c.Namespace, maxName)
	}
	return c, nil
}
