package jsstore

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

// requests sends messages and hands each answer to whoever waits for it, over
// one subscription for all. It exists beside the client's own request call so
// that many publishes can be under way at once, each with a context of its own.
type requests struct {
	nc     *nats.Conn
	sub    *nats.Subscription
	prefix string

	mu      sync.Mutex
	next    uint64
	pending map[uint64]*call
}

// A call is a request under way. It is done when answer can be received from.
type call struct {
	id     uint64
	answer chan *nats.Msg // of capacity 1; closed when the connection was lost
}

func newRequests(nc *nats.Conn) (*requests, error) {
	r := &requests{nc: nc, prefix: nc.NewInbox() + ".", pending: map[uint64]*call{}}
	sub, err := nc.Subscribe(r.prefix+"*", r.answered)
	if err != nil {
		return nil, err
	}
	r.sub = sub
	// Answers are small and their number is that of the calls.
	return r, sub.SetPendingLimits(-1, -1)
}

func (r *requests) answered(m *nats.Msg) {
	id, err := strconv.ParseUint(m.Subject[len(r.prefix):], 36, 64)
	if err != nil {
		return
	}
	if c := r.take(id); c != nil {
		c.answer <- m
	}
}

func (r *requests) take(id uint64) *call {
	r.mu.Lock()
	defer r.mu.Unlock()
	c := r.pending[id]
	delete(r.pending, id)
	return c
}

// start sends m. The caller must wait for the call.
func (r *requests) start(m *nats.Msg) (*call, error) {
	c := &call{answer: make(chan *nats.Msg, 1)}
	r.mu.Lock()
	r.next++
	c.id = r.next
	r.pending[c.id] = c
	r.mu.Unlock()
	m.Reply = r.prefix + strconv.FormatUint(c.id, 36)
	if err := r.nc.PublishMsg(m); err != nil {
		r.take(c.id)
		return nil, err
	}
	return c, nil
}

// errNoAnswer is what a call ends with when the server did not answer in time:
// whether it has done what was asked is not known.
var errNoAnswer = errors.New("no answer from the server")

// answerTimeout is how long one try waits. A leader that steps down swallows
// the request in flight, so that waiting longer does not help.
const answerTimeout = 2 * time.Second

// wait returns the answer, errNoAnswer when there was none in time, or ctx's cause.
func (r *requests) wait(ctx context.Context, c *call) (*nats.Msg, error) {
	select {
	case m, ok := <-c.answer: // the common case, without a timer
		return answerOf(m, ok)
	default:
	}
	timer := time.NewTimer(answerTimeout)
	defer timer.Stop()
	select {
	case m, ok := <-c.answer:
		return answerOf(m, ok)
	case <-timer.C:
		r.take(c.id)
		return nil, errNoAnswer
	case <-ctx.Done():
		r.take(c.id)
		return nil, context.Cause(ctx)
	}
}

func answerOf(m *nats.Msg, ok bool) (*nats.Msg, error) {
	if !ok {
		return nil, nats.ErrDisconnected
	}
	return m, nil
}

// request sends m and waits for the answer.
func (r *requests) request(ctx context.Context, m *nats.Msg) (*nats.Msg, error) {
	c, err := r.start(m)
	if err != nil {
		return nil, err
	}
	return r.wait(ctx, c)
}

// disconnected ends all calls: their answers will not come.
func (r *requests) disconnected() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range r.pending {
		close(c.answer)
	}
	clear(r.pending)
}

func (r *requests) close() {
	_ = r.sub.Unsubscribe() // fails only on a connection that is closed already
	r.disconnected()
}
