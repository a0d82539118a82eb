package jsstore

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	neturl "net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/durable-execution/durable/engine"
)

// Store is a namespace of a NATS JetStream server or cluster. It implements
// [engine.Store].
type Store struct {
	nc       *nats.Conn
	js       jetstream.JetStream
	layout   layout
	config   Config
	requests *requests
	groups   map[string]*group // by what subjects begin with; none unless writes are grouped
	apiName  string            // of the JetStream API, with a dot behind it
	log      *slog.Logger
	word     *word
	tell     func(Part) // of what is found and made; nil unless SetUp asks

	errands   *errands
	contested sync.Map // subjects of messages that are due later and whose id is another's

	ownsConn bool
	status   chan nats.Status
	stopped  chan struct{}
	awake    atomic.Pointer[time.Time] // when this process was seen to run: see frozen.go

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
	heard := &word{}
	nc, err := nats.Connect(url, slices.Concat(ConnectOptions(), heard.options(), opts)...)
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

// ConnectOptions are those that [Connect] connects with, for a program that makes its
// own connection and gives it to [Open]. Without them the client gives up a connection
// for good: when a server has refused the credentials twice, or after 60 tries.
func ConnectOptions() []nats.Option {
	return []nats.Option{
		nats.Name("durable"),
		nats.MaxReconnects(-1),
		// Credentials that are refused now may be right again in a minute: a password that
		// is changed on the servers first, an account that is being set up.
		nats.IgnoreAuthErrorAbort(),
		// What could not be sent is sent again by who wanted it sent; a copy that a
		// buffer sends after it was given up would come twice.
		nats.ReconnectBufSize(-1),
		// A network that swallows everything without a word is found out by two
		// pings that nobody answers, here within the patience of a call. The client's
		// own 2 minutes between two would be several leases.
		nats.PingInterval(pingInterval), nats.MaxPingsOutstanding(2),
		// Cancellations wait meanwhile, and leases run out, so not the client's own 2 s;
		// the jitter spreads a fleet whose server restarts.
		nats.ReconnectWait(reconnectWait), nats.ReconnectJitter(reconnectWait, reconnectWait),
	}
}

// Open opens a namespace over a connection that stays the caller's. What the
// namespace lacks is made; what it has is checked, and the error says what is
// wrong with it.
//
// The connection should be made with [ConnectOptions]: with the client's own defaults
// it is closed for good by two refusals of its credentials, and without them after 60
// tries to reconnect. Whatever the options, a server closes it for good that was sent a
// message past its max_payload, as after a reload that lowers it. Once it is closed,
// every call of the store returns [engine.ErrClosed] and its executors end with that.
func Open(ctx context.Context, nc *nats.Conn, c Config) (*Store, error) {
	return open(ctx, nc, c, nil, nil)
}

// open is Open that knows what was heard of the connection, and tells, if asked, what it
// found and what it made.
func open(ctx context.Context, nc *nats.Conn, c Config, heard *word, tell func(Part)) (*Store, error) {
	if nc == nil {
		return nil, errors.New("open namespace: the connection is nil")
	}
	c, err := c.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("open namespace: %w", err)
	}
	s, err := attach(nc, c)
	if err != nil {
		return nil, fmt.Errorf("open namespace %s: %w", c.Namespace, err)
	}
	s.word, s.tell = heard, tell
	if err := s.setUp(ctx); err != nil {
		s.requests.close()
		return nil, fmt.Errorf("open namespace %s: %w", c.Namespace, err)
	}
	s.status = nc.StatusChanged(nats.CONNECTED, nats.RECONNECTING, nats.CLOSED)
	go s.followConnection()
	go s.stayAwake()
	return s, nil
}

// attach returns a store that knows how to speak to the server and has not spoken
// to it: what is there is not looked at. The caller closes its requests.
func attach(nc *nats.Conn, c Config) (*Store, error) {
	s := &Store{
		nc: nc, layout: layout{ns: c.Namespace, shard: shardOf("")}, config: c, log: logger(c.Logger).With("namespace", c.Namespace),
		errands: newErrands(mostErrands), stopped: make(chan struct{}), watchers: map[*watcher]struct{}{}, pullers: map[*puller]struct{}{},
	}
	var err error
	switch {
	case c.Domain != "":
		s.js, err = jetstream.NewWithDomain(nc, c.Domain)
	case c.APIPrefix != "":
		s.js, err = jetstream.NewWithAPIPrefix(nc, strings.TrimSuffix(c.APIPrefix, "."))
	default:
		s.js, err = jetstream.New(nc)
	}
	if err != nil {
		return nil, err
	}
	s.apiName = apiName(s.js.Options())
	if s.requests, err = newRequests(nc); err != nil {
		return nil, err
	}
	if s.apiName != jetstream.DefaultAPIPrefix {
		s.requests.bucket = s.apiName
	}
	if c.GroupWrites {
		s.groups = newGroups(s.layout, s.requests)
	}
	return s, nil
}

// apiName returns what the subjects of the JetStream API begin with.
func apiName(o jetstream.JetStreamOptions) string {
	switch {
	case o.APIPrefix != "":
		return strings.TrimSuffix(o.APIPrefix, ".") + "."
	case o.Domain != "":
		return "$JS." + o.Domain + ".API."
	}
	return jetstream.DefaultAPIPrefix
}

func keys[K comparable](m map[K]struct{}) []K {
	list := make([]K, 0, len(m))
	for k := range m {
		list = append(list, k)
	}
	return list
}

// setUp checks the server and makes what the namespace lacks.
func (s *Store) setUp(ctx context.Context) error {
	var info *jetstream.AccountInfo
	err := s.manage(ctx, func(ctx context.Context) (err error) {
		info, err = s.js.AccountInfo(ctx)
		return err
	})
	switch {
	case errors.Is(err, jetstream.ErrJetStreamNotEnabled), errors.Is(err, jetstream.ErrJetStreamNotEnabledForAccount):
		return fmt.Errorf("%w (a line `jetstream {}` in the server's configuration enables it)", err)
	case err != nil:
		return fmt.Errorf("ask %s for JetStream: %w", Redact(s.nc.ConnectedUrl()), err)
	case info.API.Level < minAPILevel:
		return fmt.Errorf("nats-server %s has JetStream API level %d: level %d is needed, which is nats-server 2.14; 2.15 is recommended",
			s.nc.ConnectedServerVersion(), info.API.Level, minAPILevel)
	}
	for _, want := range s.layout.streams(s.config) {
		if err := s.manage(ctx, func(ctx context.Context) error { return s.stream(ctx, want) }); err != nil {
			return fmt.Errorf("stream %s: %w", want.Name, err)
		}
	}
	return s.readNamespace(ctx)
}

// stream makes a stream, or checks the one that is there for what the engine
// relies on. What an operator may choose - replicas, storage, limits - is left.
func (s *Store) stream(ctx context.Context, want jetstream.StreamConfig) error {
	did := Found
	st, err := s.js.Stream(ctx, want.Name)
	switch {
	case errors.Is(err, jetstream.ErrStreamNotFound) && s.config.MustExist:
		return s.missing("")
	case errors.Is(err, jetstream.ErrStreamNotFound):
		did = Made
		st, err = s.js.CreateStream(ctx, want)
		if errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
			did = Found // another process was faster
			st, err = s.js.Stream(ctx, want.Name)
		}
	}
	if err != nil {
		return err
	}
	have := st.CachedInfo().Config
	for _, d := range departures(have, want) {
		return fmt.Errorf("exists, but its %s is %v where %v is needed", d.what, d.have, d.want)
	}
	if want.Name == s.layout.records() && !s.config.MustExist {
		if keepsOne(have) {
			if raised, _ := s.raise(ctx, have); raised {
				did = Changed
			}
		}
		// Otherwise the doctor finds it.
		_, _ = s.tidy(ctx)
	}
	s.told(Part{Kind: "stream", Name: want.Name, Did: did, Replicas: have.Replicas, MaxMessages: have.MaxMsgs})
	return nil
}

// Limits returns the namespace's numbers.
func (s *Store) Limits() engine.Limits {
	return engine.Limits{Payload: s.config.PayloadLimit, Lease: s.config.Lease, Retention: s.config.Retention}
}

// reserve is what a record may take beside input and output: a message and a
// stack of 8 KiB, 20 attempts and 20 children's failures of little more than 1 KiB
// each, children to spawn of 8 KiB, and the rest.
const reserve = 80 << 10

// inline is what an input or an output may have so that a record with both fits a
// message: 484 KiB where a message may have 1 MiB. What is longer is kept beside.
func (s *Store) inline() int {
	return max(int(s.nc.MaxPayload())-reserve, 0) / 2
}
