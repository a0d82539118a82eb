package jsstore

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	neturl "net/url"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/jsstore/internal/layout"
	"github.com/durable-execution/durable/jsstore/internal/namespace"
	"github.com/durable-execution/durable/jsstore/internal/rpc"
	"github.com/durable-execution/durable/jsstore/scan"
)

// Store is a namespace of a NATS JetStream server or cluster. It implements
// [engine.Store].
type Store struct {
	ns     *namespace.Namespace
	scan   *scan.Scanner
	rpc    *rpc.Client
	layout layout.Layout
	config Config
	log    *slog.Logger
	tell   func(Part) // receives what setUp found and made; nil unless SetUp is called

	errands   *errands
	contested sync.Map // subjects of delayed messages whose id belongs to another execution

	ownsConn bool
	status   chan nats.Status
	stopped  chan struct{}
	awake    atomic.Pointer[time.Time] // when this process last checked the clock: see frozen.go

	mu       sync.Mutex
	watchers map[*watcher]struct{}
	pullers  map[*puller]struct{}
}

// Connect connects to a NATS server, or several (comma-separated), and opens a
// namespace there. Close closes the connection.
func Connect(ctx context.Context, url string, c Config, opts ...nats.Option) (*Store, error) {
	if err := CheckURL(url); err != nil {
		return nil, fmt.Errorf("connect to %s: %w", Redact(url), err)
	}
	heard := &rpc.Word{}
	nc, err := nats.Connect(url, slices.Concat(ConnectOptions(), heard.Options(), opts)...)
	if quotes := (*neturl.Error)(nil); errors.As(err, &quotes) {
		err = errMalformed
	}
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", Redact(url), err)
	}
	s, err := open(ctx, nc, c, heard, nil)
	if err != nil {
		nc.Close()
		return nil, err
	}
	s.ownsConn = true
	return s, nil
}

// ConnectOptions returns the options with which [Connect] connects. Use them in a program that
// makes its own connection and passes it to [Open]. Without them the client gives up a
// connection for good when a server has refused the credentials twice, or after 60 tries.
func ConnectOptions() []nats.Option {
	return []nats.Option{
		nats.Name("durable"),
		nats.MaxReconnects(-1),
		// Credentials that are refused now may be accepted in a minute: the password was
		// changed on the servers first, or an account is being set up.
		nats.IgnoreAuthErrorAbort(),
		// The caller repeats a message that could not be sent. If a buffer also sent it, after
		// the caller gave up, it would arrive twice.
		nats.ReconnectBufSize(-1),
		// Two pings without an answer reveal a network that silently drops everything, here
		// within the patience of a call. The client's default of 2 minutes between pings would
		// be several leases.
		nats.PingInterval(pingInterval), nats.MaxPingsOutstanding(2),
		// Cancellations wait and leases run out meanwhile, so this is shorter than the client's
		// default of 2 s. The jitter spreads a fleet whose server restarts.
		nats.ReconnectWait(reconnectWait), nats.ReconnectJitter(reconnectWait, reconnectWait),
	}
}

// Open opens a namespace over a connection that the caller continues to own. It creates what
// the namespace lacks and checks what it has; the error says what is wrong.
//
// Make the connection with [ConnectOptions]. With the client's defaults it is closed for good
// after two refusals of its credentials, or after 60 tries to reconnect. Whatever the options,
// the server closes a connection for good that sends a message beyond max_payload, as may
// happen after a reload has lowered the limit. Once the connection is closed, every call of the
// store returns [engine.ErrClosed], and its executors end with that error.
func Open(ctx context.Context, nc *nats.Conn, c Config) (*Store, error) {
	return open(ctx, nc, c, nil, nil)
}

// open is Open with the word of the connection. If tell is not nil, it receives what open found
// and what it made.
func open(ctx context.Context, nc *nats.Conn, c Config, heard *rpc.Word, tell func(Part)) (*Store, error) {
	if nc == nil {
		return nil, errors.New("open namespace: the connection is nil")
	}
	c, err := c.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("open namespace: %w", err)
	}
	ns, err := namespace.New(nc, c.Namespace, rpc.Options{Domain: c.Domain, APIPrefix: c.APIPrefix}, c.GroupWrites)
	if err != nil {
		return nil, fmt.Errorf("open namespace %s: %w", c.Namespace, err)
	}
	ns.Limits = engine.Limits{Payload: c.PayloadLimit, Lease: c.Lease, Retention: c.Retention}
	s := Over(ns)
	s.config, s.log = c, logger(c.Logger).With("namespace", c.Namespace)
	s.rpc.Heard, s.tell = heard, tell
	if err := s.setUp(ctx); err != nil {
		s.rpc.Close()
		return nil, fmt.Errorf("open namespace %s: %w", c.Namespace, err)
	}
	s.status = nc.StatusChanged(nats.CONNECTED, nats.RECONNECTING, nats.CLOSED)
	go s.followConnection()
	go s.stayAwake()
	return s, nil
}

// Over returns a store over a namespace that nobody has checked, for package doctor. It must
// not be closed.
func Over(ns *namespace.Namespace) *Store {
	return &Store{
		ns: ns, scan: scan.New(ns), rpc: ns.RPC, layout: ns.Layout,
		config: Config{Namespace: ns.Layout.NS}, log: slog.Default(), errands: newErrands(mostErrands),
		stopped: make(chan struct{}), watchers: map[*watcher]struct{}{}, pullers: map[*puller]struct{}{},
	}
}

func keys[K comparable](m map[K]struct{}) []K {
	list := make([]K, 0, len(m))
	for k := range m {
		list = append(list, k)
	}
	return list
}

// setUp checks the server and creates what the namespace lacks.
func (s *Store) setUp(ctx context.Context) error {
	var info *jetstream.AccountInfo
	err := s.rpc.Manage(ctx, func(ctx context.Context) (err error) {
		info, err = s.rpc.JS.AccountInfo(ctx)
		return err
	})
	switch {
	case errors.Is(err, jetstream.ErrJetStreamNotEnabled), errors.Is(err, jetstream.ErrJetStreamNotEnabledForAccount):
		return fmt.Errorf("%w (a line `jetstream {}` in the server's configuration enables it)", err)
	case err != nil:
		return fmt.Errorf("ask %s for JetStream: %w", Redact(s.rpc.Conn.ConnectedUrl()), err)
	case info.API.Level < namespace.MinAPILevel:
		return fmt.Errorf("nats-server %s has JetStream API level %d: level %d is needed, which is nats-server 2.14; 2.15 is recommended",
			s.rpc.Conn.ConnectedServerVersion(), info.API.Level, namespace.MinAPILevel)
	}
	for _, want := range s.layout.Streams(s.config.Replicas, s.config.MaxReady) {
		if err := s.rpc.Manage(ctx, func(ctx context.Context) error { return s.stream(ctx, want) }); err != nil {
			return fmt.Errorf("stream %s: %w", want.Name, err)
		}
	}
	return s.readNamespace(ctx)
}

// stream creates a stream, or checks that the existing one has the settings that the engine
// relies on. It leaves alone what an operator may choose: replicas, storage, limits.
func (s *Store) stream(ctx context.Context, want jetstream.StreamConfig) error {
	did := Found
	st, err := s.rpc.JS.Stream(ctx, want.Name)
	switch {
	case errors.Is(err, jetstream.ErrStreamNotFound) && s.config.MustExist:
		return s.missing("")
	case errors.Is(err, jetstream.ErrStreamNotFound):
		did = Made
		st, err = s.rpc.JS.CreateStream(ctx, want)
		if errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
			did = Found // another process was faster
			st, err = s.rpc.JS.Stream(ctx, want.Name)
		}
	}
	if err != nil {
		return err
	}
	have := st.CachedInfo().Config
	for _, d := range namespace.Departures(have, want) {
		return fmt.Errorf("exists, but its %s is %v where %v is needed", d.What, d.Have, d.Want)
	}
	if want.Name == s.layout.Records() && !s.config.MustExist {
		if namespace.KeepsOne(have) {
			if raised, _ := s.ns.Raise(ctx, have); raised {
				did = Changed
			}
		}
		// If this fails, the doctor reports it.
		_, _ = s.ns.Tidy(ctx)
	}
	s.told(Part{Kind: "stream", Name: want.Name, Did: did, Replicas: have.Replicas, MaxMessages: have.MaxMsgs})
	return nil
}

// Limits returns the namespace's limits.
func (s *Store) Limits() engine.Limits {
	return s.ns.Limits
}

// Scan returns what reads the streams of the namespace message by message: for an index, and
// for views of everything that changes.
func (s *Store) Scan() *scan.Scanner { return s.scan }
