//go:build unix

package jstest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const nodeRole = "nats-server"

// Machines are servers, by index from 0, each in a process of its own. They can be killed and
// frozen, unlike [Nodes]. Their package needs a TestMain that calls [Main].
type Machines struct {
	t       testing.TB
	nodes   []node
	running []*Process // nil while one is down
}

// Processes starts n servers on loopback: one, or a cluster of usually 3. It returns once
// streams with n replicas can be created. They keep their files in dirs, or in temporary
// directories of the test if none are given. In short mode it skips the test.
func Processes(t testing.TB, n int, dirs ...string) *Machines {
	t.Helper()
	return processes(t, n, func(*node) {}, dirs...)
}

// SyncedProcesses is Processes with servers that sync each write to the disk before they
// acknowledge it.
func SyncedProcesses(t testing.TB, n int) *Machines {
	t.Helper()
	return processes(t, n, func(n *node) { n.Sync = true })
}

func processes(t testing.TB, n int, change func(*node), dirs ...string) *Machines {
	t.Helper()
	if testing.Short() {
		t.Skip("servers in processes of their own: skipped in short mode")
	}
	m := &Machines{t: t, nodes: make([]node, n), running: make([]*Process, n)}
	clients, routes := ports(t, n), ports(t, n)
	for i := range m.nodes {
		m.nodes[i] = node{Index: i, Clients: clients, Routes: routes}
		change(&m.nodes[i])
		if i < len(dirs) {
			m.nodes[i].Dir = dirs[i]
		} else {
			m.nodes[i].Dir = t.TempDir()
		}
		if m.nodes[i].Account != nil {
			if err := m.nodes[i].writeAccount(); err != nil {
				t.Fatal(err)
			}
		}
		m.Boot(i)
	}
	for i := range m.nodes {
		m.running[i].AwaitReady()
	}
	await(t, fmt.Sprintf("%d servers take streams", n), func() bool { return m.takesStreams() })
	return m
}

// takesStreams creates a stream with as many replicas as there are servers, and deletes it
// again.
func (m *Machines) takesStreams() bool {
	js, done := dial(m.t, m.operatorURLs())
	defer done()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if _, err := js.CreateStream(ctx, jetstream.StreamConfig{Name: "probe", Replicas: len(m.nodes)}); err != nil {
		return false
	}
	return js.DeleteStream(ctx, "probe") == nil
}

// runNode is the role of a server process: it serves until SIGTERM.
func runNode(config []byte, ready func()) error {
	var n node
	if err := json.Unmarshal(config, &n); err != nil {
		return err
	}
	stop, reload := make(chan os.Signal, 1), make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM)
	signal.Notify(reload, syscall.SIGHUP)
	var s *server.Server
	err := n.withAccount(func(o *server.Options) (err error) {
		s, err = server.NewServer(o)
		return err
	})
	if err != nil {
		return err
	}
	s.Start()
	if !s.ReadyForConnections(patience) {
		return errors.New("no ports")
	}
	ready()
	for {
		select {
		case <-reload:
			if err := n.withAccount(s.ReloadOptions); err != nil {
				return err
			}
		case <-stop:
			s.Shutdown()
			s.WaitForShutdown()
			return nil
		}
	}
}

// URL returns the address of server i for clients, with user and password if the server asks for
// them. It stays the same after a restart.
func (m *Machines) URL(i int) string {
	return m.nodes[i].as(GuardedUser, GuardedPassword, m.nodes[i].Clients[i].String())
}

// URLs returns the addresses of all servers for clients.
func (m *Machines) URLs() string {
	var list []string
	for i := range m.nodes {
		list = append(list, m.URL(i))
	}
	return strings.Join(list, ",")
}

// Connect returns a connection to any server that is up. It is closed at the end of the test.
func (m *Machines) Connect(opts ...nats.Option) *nats.Conn {
	m.t.Helper()
	nc, err := nats.Connect(m.operatorURLs(), append([]nats.Option{nats.MaxReconnects(-1), nats.ReconnectWait(50 * time.Millisecond)}, opts...)...)
	if err != nil {
		m.t.Fatal(err)
	}
	m.t.Cleanup(nc.Close)
	return nc
}

// Leader waits until a stream has a leader that is up, and returns its server.
func (m *Machines) Leader(stream string) int {
	m.t.Helper()
	if len(m.nodes) == 1 {
		return 0
	}
	js, done := dial(m.t, m.operatorURLs())
	defer done()
	leader := -1
	await(m.t, "stream "+stream+" has a leader", func() bool {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		s, err := js.Stream(ctx, stream)
		if err != nil || s.CachedInfo().Cluster == nil {
			return false
		}
		for i := range m.nodes {
			if nodeName(i) == s.CachedInfo().Cluster.Leader && m.running[i] != nil {
				leader = i
			}
		}
		return leader >= 0
	})
	return leader
}

// Kill kills a server with SIGKILL. Its files stay as they are.
func (m *Machines) Kill(i int) {
	m.running[i].Kill()
	m.running[i] = nil
}

// Stop shuts a server down cleanly.
func (m *Machines) Stop(i int) {
	m.running[i].Signal(syscall.SIGTERM)
	<-m.running[i].Exited()
	m.running[i] = nil
}

// Freeze stops the process of a server immediately; Thaw continues it.
func (m *Machines) Freeze(i int) { m.running[i].Signal(syscall.SIGSTOP) }

// Thaw continues a frozen process.
func (m *Machines) Thaw(i int) { m.running[i].Signal(syscall.SIGCONT) }

// Boot starts a server on its files and does not wait for it.
func (m *Machines) Boot(i int) {
	m.t.Helper()
	m.running[i] = Spawn(m.t, nodeRole, m.nodes[i])
}

// Start starts a server on its files. It returns when the server accepts connections and, in a
// cluster, when it is current: see [Nodes.Start].
func (m *Machines) Start(i int) {
	m.t.Helper()
	m.Boot(i)
	m.awaitUp(i)
}

func (m *Machines) awaitUp(i int) {
	m.t.Helper()
	m.running[i].AwaitReady()
	if len(m.nodes) > 1 {
		awaitCurrent(m.t, m.operatorURL(i), i)
	}
}

// KillAll kills every server, StartAll starts them again and returns as Start does.
func (m *Machines) KillAll() {
	for i := range m.nodes {
		m.Kill(i)
	}
}

// StartAll undoes KillAll.
func (m *Machines) StartAll() {
	m.t.Helper()
	for i := range m.nodes {
		m.Boot(i)
	}
	for i := range m.nodes {
		m.awaitUp(i)
	}
}
