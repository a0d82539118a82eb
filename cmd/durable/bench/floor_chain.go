package bench

import (
	"bytes"
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/nats-io/nats.go"
)

// A chain is the floor of an execution with a waiter. The client creates a key and publishes to
// the queue. The executor's side receives the message, replaces the value of the key, notifies
// the waiter, and acknowledges. Many can be in progress at once.
type chain struct {
	*floor
	waiting []chan struct{}
	free    chan int
	stops   []func()
}

func (f *floor) chain(width int) (*chain, error) {
	c := &chain{floor: f, free: make(chan int, width)}
	for i := range width {
		c.waiting = append(c.waiting, make(chan struct{}, 1))
		c.free <- i
	}
	sub, err := f.b.conns[0].Subscribe(f.b.namespace+".floor.ended.*", func(m *nats.Msg) {
		i, err := strconv.Atoi(m.Subject[len(f.b.namespace+".floor.ended."):])
		if err == nil && i < len(c.waiting) {
			c.waiting[i] <- struct{}{}
		}
	})
	if err != nil {
		return nil, err
	}
	c.stops = append(c.stops, func() { _ = sub.Unsubscribe() })
	stop, err := f.take(f.names[0], c.execute)
	if err != nil {
		c.stop()
		return nil, err
	}
	c.stops = append(c.stops, stop)
	return c, f.b.conns[0].FlushTimeout(grace) // then the server has the subscription
}

func (c *chain) stop() {
	for _, stop := range c.stops {
		stop()
	}
}

// body returns the key, its sequence and the number of the waiter, padded to the size of a
// payload.
func (c *chain) body(key string, seq uint64, i int) []byte {
	text := fmt.Appendf(make([]byte, 0, max(len(c.b.payload), 64)), "%s %d %d ", key, seq, i)
	if n := len(text); n < len(c.b.payload) {
		text = append(text, c.b.payload[n:]...)
	}
	return text
}

func (c *chain) execute(m *nats.Msg) {
	parts := bytes.SplitN(m.Data, []byte(" "), 4)
	if len(parts) < 4 {
		c.fails(fmt.Errorf("unexpected message %.40q in the floor of latency", m.Data))
		return
	}
	nc, reply, who := c.b.conns[1], m.Reply, string(parts[2])
	c.fails(c.in.send(c.b.work, c.replace(string(parts[0]), string(parts[1])), func(m *nats.Msg) {
		_, err := stored(m)
		c.fails(err)
		c.fails(nc.Publish(c.b.namespace+".floor.ended."+who, c.b.payload))
		c.fails(nc.Publish(reply, ack))
	}))
}

// once goes through the chain one time.
func (c *chain) once() error {
	i := <-c.free
	defer func() { c.free <- i }()
	answer, key := make(chan *nats.Msg, 1), c.key()
	seq, err := c.out.ask(c.b.work, &nats.Msg{Subject: c.subject(key), Header: created, Data: c.b.payload}, answer)
	if err != nil {
		return err
	}
	if _, err := c.out.ask(c.b.work, c.queued(c.body(key, seq, i)), answer); err != nil {
		return err
	}
	select {
	case <-c.waiting[i]:
		return nil
	case <-c.b.work.Done():
		return context.Cause(c.b.work)
	}
}

// latencies goes through the chain as often as the quota allows, and records how long each takes.
func (f *floor) latencies(q *quota, h *hdrhistogram.Histogram) (int, error) {
	width := f.b.Callers
	if f.b.Rate > 0 {
		width = floorWindow / 2
	}
	c, err := f.chain(width)
	if err != nil {
		return 0, err
	}
	defer c.stop()
	return f.b.clocked(q, h, c.once)
}

// scheduled is the floor of delayed executions: a schedule, the delivery of the message that it
// fires, a create, and an acknowledgement.
func (f *floor) scheduled(q *quota, h *hdrhistogram.Histogram) (int, error) {
	nc, total, acked := f.b.conns[1], 0, make(chan struct{}, maxBacklog)
	stop, err := f.take(f.names[2], func(m *nats.Msg) {
		due, _, _ := bytes.Cut(m.Data, []byte(" "))
		ns, err := strconv.ParseInt(string(due), 10, 64)
		f.fails(err)
		// One goroutine calls this for all deliveries, so the histogram needs no lock.
		f.fails(h.RecordValue(max(time.Since(time.Unix(0, ns)).Nanoseconds(), 0)))
		reply := m.Reply
		f.fails(f.in.send(f.b.work, f.create(), func(m *nats.Msg) {
			_, err := stored(m)
			f.fails(err)
			f.fails(nc.Publish(reply, ack))
			acked <- struct{}{}
		}))
	})
	if err != nil {
		return 0, err
	}
	defer stop()
	left, pace := 0, f.b.pace()
	for q.take(1) > 0 {
		if err := pace.wait(f.b.work, 1); err != nil {
			return 0, err
		}
		if err := f.schedule(time.Now().Add(f.b.Delay)); err != nil {
			return 0, err
		}
		total, left = total+1, left+1
		for left >= maxBacklog {
			if err := f.one(acked); err != nil {
				return 0, err
			}
			left--
		}
	}
	for range left {
		if err := f.one(acked); err != nil {
			return 0, err
		}
	}
	return total, nc.FlushTimeout(grace)
}

func (f *floor) one(acked chan struct{}) error {
	select {
	case <-acked:
		return nil
	case <-f.b.work.Done():
		return context.Cause(f.b.work)
	}
}

func (f *floor) schedule(at time.Time) error {
	key := f.key()
	body := fmt.Appendf(make([]byte, 0, max(len(f.b.payload), 32)), "%d ", at.UnixNano())
	if n := len(body); n < len(f.b.payload) {
		body = append(body, f.b.payload[n:]...)
	}
	m := &nats.Msg{Subject: f.b.namespace + ".floor.later." + key, Data: body, Header: nats.Header{
		"Nats-Schedule":        {"@at " + at.UTC().Format(time.RFC3339Nano)},
		"Nats-Schedule-Target": {f.b.namespace + ".floor.due." + key},
	}}
	return f.out.send(f.b.work, m, func(m *nats.Msg) {
		_, err := stored(m)
		f.fails(err)
	})
}

// cancels is the floor of an execution that is cancelled while it runs. It publishes to the queue
// and creates a key. Then it measures how long it takes to publish the cancellation and to
// replace the value of the key. Both messages are delivered and acknowledged.
func (f *floor) cancels(q *quota, returned, heard *hdrhistogram.Histogram) (int, error) {
	nc := f.b.conns[1]
	delivered := make([]chan time.Time, f.b.Callers)
	for i := range delivered {
		delivered[i] = make(chan time.Time, 1)
	}
	stop, err := f.take(f.names[0], func(m *nats.Msg) {
		parts := bytes.SplitN(m.Data, []byte(" "), 4)
		if i, err := strconv.Atoi(string(parts[2])); err != nil || i >= len(delivered) {
			f.fails(fmt.Errorf("unexpected message %.40q in the floor of cancel", m.Data))
		} else {
			delivered[i] <- time.Now()
		}
		f.fails(nc.Publish(m.Reply, ack))
	})
	if err != nil {
		return 0, err
	}
	defer stop()
	c := &chain{floor: f}
	var times clock
	n, err := f.b.closed(q, func(i int) error {
		answer, key := make(chan *nats.Msg, 1), f.key()
		if _, err := f.out.ask(f.b.work, f.queued(c.body(key, 0, i)), answer); err != nil {
			return err
		}
		if _, err := f.at(delivered[i]); err != nil {
			return err
		}
		seq, err := f.in.ask(f.b.work, &nats.Msg{Subject: f.subject(key), Header: created, Data: f.b.payload}, answer)
		if err != nil {
			return err
		}
		began := time.Now()
		if _, err := f.out.ask(f.b.work, f.queued(c.body(key, seq, i)), answer); err != nil {
			return err
		}
		if _, err := f.out.ask(f.b.work, f.replace(key, strconv.FormatUint(seq, 10)), answer); err != nil {
			return err
		}
		done := time.Now()
		at, err := f.at(delivered[i])
		if err != nil {
			return err
		}
		return times.record(returned, done.Sub(began), heard, at.Sub(began))
	})
	return n, err
}

func (f *floor) at(c chan time.Time) (time.Time, error) {
	select {
	case at := <-c:
		return at, nil
	case <-f.b.work.Done():
		return time.Time{}, context.Cause(f.b.work)
	}
}
