// Package namespace has what the store, the scanner and the doctor share: reads and writes of keys
// of the bucket, set-aside messages, older revisions, and the settings of a namespace.
package namespace

import (
	"fmt"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/durable-execution/durable/codec"
	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/jsstore/internal/layout"
	"github.com/durable-execution/durable/jsstore/internal/rpc"
)

// A Namespace is a namespace on a server: the client that reaches it, the names in it and the
// numbers that hold in it.
type Namespace struct {
	RPC    *rpc.Client
	Layout layout.Layout
	Limits engine.Limits
}

// New returns the namespace of a name, over a connection; nothing has asked the server for
// anything yet. If grouped is true, writes that come together are sent together. The caller
// sets the Limits, and closes the client.
func New(nc *nats.Conn, name string, o rpc.Options, grouped bool) (*Namespace, error) {
	names := layout.Layout{NS: name, Shard: layout.ShardOf("")}
	if grouped {
		o.Grouped = names.Grouped()
	}
	client, err := rpc.NewClient(nc, o)
	if err != nil {
		return nil, err
	}
	return &Namespace{RPC: client, Layout: names}, nil
}

const (
	// DefaultNamespace is the first token of every subject, unless configured.
	DefaultNamespace = "durable"
	// DefaultLease is how long a delivery lasts without being extended.
	DefaultLease = 30 * time.Second
)

// Settings are the record of a namespace, as JSON under the key =namespace.
type Settings struct {
	Version     int   `json:"version"`
	Shards      int   `json:"shards"`
	LeaseMS     int64 `json:"leaseMs"`
	RetentionMS int64 `json:"retentionMs"` // 0 means for ever; if absent, the default applies
}

// Lease returns the lease in the record, or DefaultLease if that is missing or invalid.
func (n Settings) Lease() time.Duration {
	d, _ := codec.Millis(n.LeaseMS)
	if d <= 0 {
		return DefaultLease
	}
	return d
}

// Retention returns the retention in the record; 0, and what no duration can hold, mean for ever.
func (n Settings) Retention() time.Duration {
	d, fits := codec.Millis(n.RetentionMS)
	if d == 0 || !fits {
		return engine.Forever
	}
	return d
}

// LayoutVersion is the version of the layout that this program knows. It does not open a namespace
// with a later one.
const LayoutVersion = 1

// Command returns a command line of the program durable for this namespace.
func (s *Namespace) Command(words string) string {
	if s.Layout.NS != DefaultNamespace {
		words += " --namespace " + s.Layout.NS
	}
	return "durable " + words
}

// Inline is the size up to which a record that has both an input and an output still fits into
// a message: 472 KiB if a message may have 1 MiB. A longer payload is kept under keys of its
// own.
func (s *Namespace) Inline() int {
	return max(int(s.RPC.Conn.MaxPayload())-Reserve, 0) / 2
}

// Reserve is the space that a record may need in addition to input and output: a message and a
// stack of 8 KiB, 20 attempts and 20 children's failures of little more than 1 KiB each, 8 KiB
// of children to spawn, and the rest.
const Reserve = 80 << 10

// MinAPILevel is the API level of nats-server 2.14, the first version with everything that
// timers need.
const MinAPILevel = 4

const maxName = 32 // leaves the names of streams and subjects readable

// Validate reports what is wrong with the name of a namespace, or with the way in which
// JetStream is to be reached: see jsstore.Config.
func Validate(name, domain, apiPrefix string) error {
	switch {
	case domain != "" && apiPrefix != "":
		return fmt.Errorf("JetStream domain %q and API prefix %q: give one", domain, apiPrefix)
	case len(name) > maxName || engine.ValidateQueue(name) != nil:
		return fmt.Errorf("namespace %q: want 1 to %d of A-Z a-z 0-9 _ -", name, maxName)
	}
	return nil
}

// A pull waits on the server for half of the lease, but for 20 s at most. The server delivers
// into a pull even if the executor is frozen. A frozen executor extended its deliveries a third
// of a lease earlier at most, so the server redelivers them two thirds of a lease after the
// freeze, at the earliest. By then none of the executor's pulls may be open. The ends of pulls
// also show that the server still knows them: an idle feed makes one request each time.
const longestPull = 20 * time.Second

// PullExpiry returns how long a pull waits.
func (s *Namespace) PullExpiry() time.Duration { return min(s.Limits.Lease/2, longestPull) }
