package bench

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/durable-execution/durable/jsstore/embedded"
)

// A node describes a server that the bench starts, in this process or in a process of its own.
type node struct {
	Dir    string        `json:"dir,omitempty"` // the directory in which it creates its own
	Sync   time.Duration `json:"syncNs,omitempty"`
	Always bool          `json:"always,omitempty"`
	Port   bool          `json:"port,omitempty"` // listen at a port, on loopback
	// In a cluster: the index of this node, and the cluster ports of all nodes.
	Index  int   `json:"index,omitempty"`
	Routes []int `json:"routes,omitempty"`
}

// A running is a started node.
type running struct {
	url      string
	embedded *embedded.Server // nil in a cluster
	stop     func() error     // also removes its files
}

func (n node) start(ctx context.Context) (*running, error) {
	dir, err := os.MkdirTemp(n.Dir, "durable-bench-")
	if err != nil {
		return nil, fmt.Errorf("directory for a server: %w", err)
	}
	var r *running
	if len(n.Routes) > 0 {
		r, err = n.startInCluster(dir)
	} else {
		r, err = n.startAlone(ctx, dir)
	}
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	stop := r.stop
	r.stop = func() error { return errors.Join(stop(), os.RemoveAll(dir)) }
	return r, nil
}

// startAlone starts a server as package embedded does for a user.
func (n node) startAlone(ctx context.Context, dir string) (*running, error) {
	c := embedded.Config{Dir: dir, SyncInterval: n.Sync, SyncAlways: n.Always}
	if n.Port {
		c.Port = -1
	}
	s, err := embedded.Start(ctx, c)
	if err != nil {
		return nil, err
	}
	return &running{url: s.URL(), embedded: s, stop: s.Close}, nil
}

// clusterPatience is how long a node may take to open its ports.
const clusterPatience = 30 * time.Second

func (n node) startInCluster(dir string) (*running, error) {
	o := &server.Options{
		ServerName: fmt.Sprintf("bench%d", n.Index), JetStream: true, StoreDir: dir,
		Host: "127.0.0.1", Port: server.RANDOM_PORT,
		SyncInterval: n.Sync, SyncAlways: n.Always,
		MaxPayload: server.MAX_PAYLOAD_MAX_SIZE, // the same as in package embedded
		NoSigs:     true, NoLog: true,
	}
	if o.SyncInterval == 0 {
		o.SyncInterval = 10 * time.Millisecond
	}
	o.Cluster.Name, o.Cluster.Host, o.Cluster.Port = "bench", "127.0.0.1", n.Routes[n.Index]
	for i, port := range n.Routes {
		if i != n.Index {
			o.Routes = append(o.Routes, &url.URL{Scheme: "nats", Host: fmt.Sprintf("127.0.0.1:%d", port)})
		}
	}
	s, err := server.NewServer(o)
	if err != nil {
		return nil, err
	}
	s.Start()
	stop := func() error { s.Shutdown(); s.WaitForShutdown(); return nil }
	if !s.ReadyForConnections(clusterPatience) {
		return nil, errors.Join(fmt.Errorf("server %d is not ready for connections, or for its cluster port %d", n.Index, o.Cluster.Port), stop())
	}
	return &running{url: s.ClientURL(), stop: stop}, nil
}

// freePorts returns n ports on loopback at which no program listens now.
func freePorts(n int) ([]int, error) {
	var ports []int
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, fmt.Errorf("find a free port: %w", err)
		}
		defer l.Close() // keep all open until the end, or the system could return one twice
		ports = append(ports, l.Addr().(*net.TCPAddr).Port)
	}
	return ports, nil
}
