package jstest

import (
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

// Nodes are the servers of a cluster, by index from 0.
type Nodes struct {
	t       testing.TB
	clients []netip.AddrPort // the address of each node for clients
	routes  []netip.AddrPort // and for the other nodes
	dirs    []string
	running []*server.Server // nil while a node is down
}

// Cluster starts n servers on loopback, usually 3. It returns once streams with n replicas can
// be created, after about half a second. In short mode it skips the test.
//
// The nodes share a process: they can be stopped, but not killed.
func Cluster(t testing.TB, n int) *Nodes {
	t.Helper()
	if testing.Short() {
		t.Skip("a cluster needs sockets and elections in real time: skipped in short mode")
	}
	c := &Nodes{
		t:       t,
		clients: ports(t, n),
		routes:  ports(t, n),
		running: make([]*server.Server, n),
	}
	for range n {
		c.dirs = append(c.dirs, t.TempDir())
	}
	t.Cleanup(c.close) // runs before the files are removed
	for i := range n {
		c.start(i)
	}
	await(t, fmt.Sprintf("%d nodes form a cluster", n), func() bool {
		return slices.ContainsFunc(c.running, func(s *server.Server) bool {
			return len(s.JetStreamClusterPeers()) == n // none unless s is the leader
		})
	})
	return c
}

// Connect returns a connection to any node that is up. It is closed at the end of the test.
func (c *Nodes) Connect(opts ...nats.Option) *nats.Conn {
	c.t.Helper()
	var urls []string
	for i := range c.clients {
		urls = append(urls, c.URL(i))
	}
	nc, err := nats.Connect(strings.Join(urls, ","), slices.Concat([]nats.Option{
		nats.MaxReconnects(-1),
		nats.ReconnectWait(50 * time.Millisecond),
	}, opts)...)
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(nc.Close)
	return nc
}

// URL returns the address of node i for clients. It stays the same after a restart.
func (c *Nodes) URL(i int) string { return "nats://" + c.clients[i].String() }

// Leader waits until the stream has a leader and returns its node.
func (c *Nodes) Leader(stream string) int {
	c.t.Helper()
	leader := -1
	await(c.t, "stream "+stream+" has a leader", func() bool {
		leader = slices.IndexFunc(c.running, func(s *server.Server) bool {
			return s != nil && s.JetStreamIsStreamLeader(server.DEFAULT_GLOBAL_ACCOUNT, stream)
		})
		return leader >= 0
	})
	return leader
}

// Stop shuts node i down cleanly: the node hands over its leaderships.
func (c *Nodes) Stop(i int) {
	s := c.running[i]
	c.running[i] = nil
	s.Shutdown()
	s.WaitForShutdown()
}

// Start starts node i on its files again. It returns when every leader of a stream or consumer
// of which the node has a replica considers the node current. Until then, stopping another node
// could leave no majority for many seconds.
func (c *Nodes) Start(i int) {
	c.t.Helper()
	c.start(i)
	awaitCurrent(c.t, c.URL(i), i)
}

func (c *Nodes) start(i int) {
	c.t.Helper()
	s, err := server.NewServer(c.options(i))
	if err != nil {
		c.t.Fatal(err)
	}
	c.running[i] = s
	s.Start()
	if !s.ReadyForConnections(patience) {
		c.t.Fatalf("node %d opens no ports %s and %s", i, c.clients[i], c.routes[i])
	}
}

// An account is the account of all clients of [AccountProcesses]. Programs log in as GuardedUser,
// with a password that may change. The tests' own requests use another user, whose password stays.
type account struct {
	Password string
	MaxFile  int64 // the limit for the bytes of its streams on disk; -1 means no limit
}

func (n node) name() string { return nodeName(n.Index) }

func nodeName(i int) string { return fmt.Sprintf("node%d", i) }

func (c *Nodes) options(i int) *server.Options {
	return node{Index: i, Dir: c.dirs[i], Clients: c.clients, Routes: c.routes}.options()
}

// A node is one server of a cluster, or the only one.
type node struct {
	Index   int
	Dir     string
	Clients []netip.AddrPort // the address of each node for clients
	Routes  []netip.AddrPort // and for the other nodes
	Sync    bool             // sync each write before acknowledging it
	Account *account         // nil if the servers ask for no password
}

func (n node) options() *server.Options {
	var others []*url.URL
	for j, addr := range n.Routes {
		if j != n.Index {
			others = append(others, &url.URL{Scheme: "nats", Host: addr.String()})
		}
	}
	o := &server.Options{
		ServerName: nodeName(n.Index),
		JetStream:  true,
		StoreDir:   n.Dir,
		MaxPayload: server.MAX_PAYLOAD_MAX_SIZE, // as in package embedded
		Routes:     others,
		NoSigs:     true,
		NoLog:      true,
		SyncAlways: n.Sync,
	}
	if n.Account != nil {
		o.SyncInterval = 10 * time.Millisecond // as in deploy/nats-single.conf and in package embedded
	}
	o.Host, o.Port = n.Clients[n.Index].Addr().String(), int(n.Clients[n.Index].Port())
	if len(n.Routes) == 1 {
		return o
	}
	o.Cluster.Name = "jstest"
	o.Cluster.Host, o.Cluster.Port = n.Routes[n.Index].Addr().String(), int(n.Routes[n.Index].Port())
	o.Cluster.NoAdvertise = true // so that clients stay behind their Proxy
	return o
}

func (c *Nodes) close() {
	var all sync.WaitGroup
	for i, s := range c.running {
		if s != nil {
			all.Go(func() { c.Stop(i) })
		}
	}
	all.Wait()
}
