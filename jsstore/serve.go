package jsstore

import (
	"cmp"
	"context"
	"errors"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/jsstore/api"
	"github.com/durable-execution/durable/jsstore/internal/layout"
)

// Serve implements [engine.Service]: see package api.
func (s *Store) Serve(ctx context.Context, c *engine.Client, instance string) (func(), error) {
	return s.ServeIndexed(ctx, c, instance, nil)
}

// ServeIndexed is Serve with an index that answers lists; nil means none.
func (s *Store) ServeIndexed(ctx context.Context, c *engine.Client, instance string, x api.Index) (func(), error) {
	if err := s.rpc.Usable(ctx); err != nil {
		return nil, err
	}
	service, err := api.Start(ctx, api.Config{
		Conn: s.rpc.Conn, Namespace: s.config.Namespace, Store: s, Client: c, Instance: instance, Queues: s.ListQueues, Running: s.scan.Running, Index: x,
	})
	if err != nil {
		return nil, s.rpc.ClosedOr(err)
	}
	return func() { _ = service.Stop() }, nil // fails only if the connection is closed already
}

// ListQueues returns the state of the queues that executors serve or have served, or that were
// set up. It does not ask which executors serve them: see [api.Queues.Count].
func (s *Store) ListQueues(ctx context.Context) (api.Queues, error) {
	var all api.Queues
	places := map[string]int{} // index in all.Queues
	for _, stream := range []string{s.layout.Ready(), s.layout.Timers()} {
		var total uint64
		var consumers []*jetstream.ConsumerInfo
		err := s.rpc.Manage(ctx, func(ctx context.Context) error {
			st, err := s.rpc.JS.Stream(ctx, stream)
			if err != nil {
				return err
			}
			total = st.CachedInfo().State.Msgs
			list := st.ListConsumers(ctx)
			consumers = nil
			for c := range list.Info() {
				consumers = append(consumers, c)
			}
			return list.Err()
		})
		if err != nil {
			return all, err
		}
		for _, c := range consumers {
			held := c.NumPending + uint64(c.NumAckPending)
			total -= min(held, total) // the two numbers were not read at the same time
			name, isQueue := strings.CutPrefix(c.Name, layout.QueueConsumer)
			if !isQueue {
				continue
			}
			i, known := places[name]
			if !known {
				i = len(all.Queues)
				places[name] = i
				all.Queues = append(all.Queues, api.Queue{Queue: name})
			}
			if err := s.describe(ctx, &all.Queues[i], stream, c); err != nil {
				return all, err
			}
		}
		if stream == s.layout.Ready() {
			all.Unserved = total
		} else {
			all.Later = total
		}
	}
	return all, nil
}

// describe adds the state of one of a queue's consumers.
func (s *Store) describe(ctx context.Context, q *api.Queue, stream string, c *jetstream.ConsumerInfo) error {
	q.Ready += c.NumPending
	q.InFlight += c.NumAckPending
	if stream == s.layout.Ready() { // operators set the limit there
		q.MaxInFlight = c.Config.MaxAckPending
	}
	if c.Paused {
		q.Paused, q.PausedUntil = true, time.Now().Add(c.PauseRemaining).UnixMilli()
		q.PauseReason = cmp.Or(q.PauseReason, c.Config.Metadata[pauseReason])
	}
	if c.NumPending == 0 && c.NumAckPending == 0 {
		return nil
	}
	oldest, err := s.rpc.First(ctx, stream, c.Config.FilterSubject)
	switch {
	case errors.Is(err, engine.ErrNotFound):
		return nil // the last message has just been removed
	case err != nil:
		return err
	}
	if at := oldest.Time.UnixMilli(); q.OldestAt == 0 || at < q.OldestAt {
		q.OldestAt, q.OldestMS = at, max(time.Since(oldest.Time).Milliseconds(), 0)
	}
	return nil
}
