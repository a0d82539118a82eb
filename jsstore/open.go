package jsstore

import (
	"context"
	"encoding/json"
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

	"github.com/durable-execution/durable/codec"
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

	postponing chan struct{} // bounds how many messages are on their way to the timers
	contested  sync.Map      // subjects of messages that are due later and whose id is another's

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
		postponing: make(chan struct{}, 256), stopped: make(chan struct{}), watchers: map[*watcher]struct{}{}, pullers: map[*puller]struct{}{},
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

// Close ends the store's subscriptions, and its connection if Connect made it. Every
// call returns [engine.ErrClosed] from then on; executors that run on it end with that.
// Feeds are closed first by whoever opened them.
func (s *Store) Close() error {
	s.nc.RemoveStatusListener(s.status)
	s.shut(engine.ErrClosed)
	watchers, pullers := s.open()
	if s.ownsConn {
		drain(pullers)
	}
	for _, p := range pullers {
		p.unsubscribe()
	}
	for _, w := range watchers {
		w.stop()
	}
	s.requests.close()
	if s.ownsConn {
		s.nc.Close()
	}
	return nil
}

// drainTime is how long Close may wait for the server.
const drainTime = time.Second

// drain ends what closed feeds have asked for: what the server has sent by then is
// handed back, where it would wait for its lease if the connection closed first. The
// client waits with timers of its own, which a bubble of synctest can't share, so
// this is for connections that are this package's.
func drain(pullers []*puller) {
	for _, p := range pullers {
		_ = p.sub.Drain() // fails only where there is no connection, and nothing to drain
	}
	for end := time.Now().Add(drainTime); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if !slices.ContainsFunc(pullers, func(p *puller) bool { return p.sub.IsValid() }) {
			return
		}
	}
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

// namespace is the record of a namespace, as JSON under the key =namespace.
type namespace struct {
	Version     int   `json:"version"`
	Shards      int   `json:"shards"`
	LeaseMS     int64 `json:"leaseMs"`
	RetentionMS int64 `json:"retentionMs"` // 0 is for ever; without it, the default
}

const layoutVersion = 1

func (n namespace) lease() time.Duration {
	d, _ := codec.Millis(n.LeaseMS)
	return d
}

func (n namespace) retention() time.Duration {
	d, fits := codec.Millis(n.RetentionMS)
	if d == 0 || !fits {
		return engine.Forever
	}
	return d
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

// readNamespace settles what all who open the namespace must agree on.
func (s *Store) readNamespace(ctx context.Context) error {
	for {
		m, err := s.last(ctx, s.layout.records(), s.layout.namespaceSubject())
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
			s.told(Part{Kind: "record", Name: s.layout.namespaceKey(), Did: did})
			return nil
		}
		if s.config.MustExist {
			return s.differs(have, want)
		}
		data, err := json.Marshal(want)
		if err != nil {
			return fmt.Errorf("namespace record: %w", err)
		}
		_, err = s.put(ctx, s.layout.namespaceSubject(), data, m.revision())
		if errors.Is(err, engine.ErrConflict) {
			continue
		}
		if m != nil {
			did = Changed
		}
		if err == nil {
			s.told(Part{Kind: "record", Name: s.layout.namespaceKey(), Did: did})
		}
		return err
	}
}
