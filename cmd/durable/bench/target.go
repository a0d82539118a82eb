package bench

import (
	"context"
	"errors"
	"strings"

	"github.com/nats-io/nats.go"

	"github.com/durable-execution/durable/jsstore/embedded"
)

// A target is the server, or the cluster, to measure.
type target struct {
	url       string
	here      *embedded.Server // the server in this process; nil if there is none
	processes []*process       // the servers that run as separate processes
	stops     []func() error
}

// reach starts the servers that the Config asks for.
func reach(ctx context.Context, c Config) (*target, error) {
	t := &target{url: c.Server}
	if c.Server != "" {
		return t, nil
	}
	n := node{Dir: c.Dir, Sync: c.SyncInterval, Always: c.SyncAlways, Port: !c.Embedded}
	var err error
	if c.Replicas > 1 {
		if n.Routes, err = freePorts(c.Replicas); err != nil {
			return nil, err
		}
	}
	var urls []string
	for i := range c.Replicas {
		n.Index = i
		url, err := t.start(ctx, c, n)
		if err != nil {
			return nil, errors.Join(err, t.stop())
		}
		urls = append(urls, url)
	}
	t.url = strings.Join(urls, ",")
	return t, nil
}

func (t *target) start(ctx context.Context, c Config, n node) (url string, err error) {
	if !c.Embedded {
		p, err := start(c.Program, duty{Node: &n})
		if err != nil {
			return "", err
		}
		t.processes, t.stops = append(t.processes, p), append(t.stops, p.stop)
		return p.url, nil
	}
	r, err := n.start(ctx)
	if err != nil {
		return "", err
	}
	t.here, t.stops = r.embedded, append(t.stops, r.stop)
	return r.url, nil
}

func (t *target) stop() error {
	var errs []error
	for _, stop := range t.stops {
		errs = append(errs, stop())
	}
	t.stops = nil
	return errors.Join(errs...)
}

// connect returns a new connection, with the same options as in package jsstore.
func (t *target) connect() (*nats.Conn, error) {
	opts := []nats.Option{nats.Name("durable bench"), nats.MaxReconnects(-1), nats.ReconnectBufSize(-1)}
	if t.here != nil {
		return t.here.Connect(opts...)
	}
	return nats.Connect(t.url, opts...)
}
