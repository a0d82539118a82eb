package jsstore

import (
	"fmt"
	"log/slog"
	"time"

	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/jsstore/internal/namespace"
	"github.com/durable-execution/durable/jsstore/internal/rpc"
)

const (
	// DefaultNamespace is the first token of every subject, unless configured.
	DefaultNamespace = namespace.DefaultNamespace
	// DefaultLease is how long a delivery lasts without being extended.
	DefaultLease = namespace.DefaultLease

	// pingInterval is a third of Patience, see persist: after two pings without an answer the
	// client gives the connection up, and the calls that wait for an answer fail.
	pingInterval = rpc.Patience / 3
	// reconnectWait is the shortest time between two attempts to reach the same server.
	reconnectWait = 250 * time.Millisecond

	minLease = time.Second    // SEMANTICS.md, Crashes and leases
	maxLease = 24 * time.Hour // a crash should not go unnoticed for longer
)

// Patience is how long a call keeps asking a server that does not answer, or that refuses for
// a passing reason, if the call's context does not end first. The call then returns
// [engine.ErrUnavailable]. It is longer than a server takes to restart and a cluster takes to
// elect a leader.
const Patience = rpc.Patience

// Config says how a namespace is created and opened. The zero Config is a good default.
type Config struct {
	// Namespace is the first token of every subject and of every stream's name:
	// 1 to 32 of A-Z a-z 0-9 _ -. Empty means DefaultNamespace.
	Namespace string
	// Lease is how long a claim lasts without renewal. Executors renew at a third of it. It
	// bounds how late a crash is noticed. Zero means the namespace's lease, and DefaultLease
	// for a new namespace; less than 1 s or more than 24 h is refused. It applies to the whole
	// namespace: opening the namespace with another lease changes it.
	Lease time.Duration
	// Retention is how long a finished tree is kept if its root sets no retention. Zero means
	// the namespace's retention, and engine.DefaultRetention for a new namespace;
	// engine.Forever keeps trees for ever; less than 1 s is refused. Like the lease it applies
	// to the whole namespace, for trees that finish from then on.
	Retention time.Duration
	// MustExist opens a namespace without creating or changing anything, including the
	// consumers of queues. If something is missing, or Lease or Retention differs from the
	// namespace's, the error says so and how to mend it; it wraps ErrMissing if something is
	// missing. Use it for programs that only read, and for credentials that may create nothing.
	MustExist bool
	// Replicas is the number of replicas of the streams and the bucket when they are created: 1
	// to 5. Zero means 1.
	Replicas int
	// MaxReady is how many executions may be due or running at once. It takes effect when the
	// stream is created. Beyond it a new root is refused with ErrQueueFull. Executions that
	// belong to accepted work (children, steps, finalizes, retries, timers) are never refused.
	// Zero means no limit.
	MaxReady int64
	// PayloadLimit is how many bytes an input or an output may have; a longer one is refused
	// with ErrTooLarge. Zero means DefaultPayloadLimit; more than 1 GiB is refused. A payload
	// that is too long for one message is stored in several, so this limits memory: each slot
	// of an executor may need a few times as much. It applies to this process only.
	PayloadLimit int
	// GroupWrites sends concurrent writes as one batch. It is for a server that syncs each
	// message to the disk before it answers (sync_interval: always): such a server syncs once
	// for a batch. It makes a difference when dozens of executions run at once, and costs time
	// on a server that syncs periodically. It applies to this process only. An embedded server
	// that always syncs is opened with it.
	GroupWrites bool
	// Domain is the JetStream domain of the namespace, if it is not the domain of the connected
	// server: the hub of a leaf node, for instance. The namespace's subjects and the answers
	// must be routed there. APIPrefix replaces the prefix of the subjects of the JetStream API,
	// such as JS.hub.API, if an account imports them under another name; the bucket's $KV.> is
	// then expected behind that prefix too, as key-value clients expect it. Empty means
	// neither; setting both is refused.
	Domain, APIPrefix string
	// Logger receives what an operator should know about the connection (when it is lost, every
	// minute while it stays lost, and when it is restored) and about consumers from which
	// messages can't be taken for a long time. Nil means slog.Default().
	Logger *slog.Logger
}

func (c Config) withDefaults() (Config, error) {
	if c.Namespace == "" {
		c.Namespace = namespace.DefaultNamespace
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
	case c.Lease != 0 && c.Lease < minLease:
		return c, fmt.Errorf("lease %s: less than %s", c.Lease, minLease)
	case c.Lease > maxLease:
		return c, fmt.Errorf("lease %s: more than %s", c.Lease, maxLease)
	case c.Replicas < 1 || c.Replicas > 5:
		return c, fmt.Errorf("%d replicas: want 1 to 5", c.Replicas)
	}
	return c, namespace.Validate(c.Namespace, c.Domain, c.APIPrefix)
}

// Sync says how a server syncs its files to the disk.
type Sync struct {
	Always   bool
	Interval time.Duration // unused if Always is set
	StoreDir string
}
