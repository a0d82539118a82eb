package rpc

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/durable-execution/durable/engine"
)

// requests sends messages and passes each answer to the goroutine that waits for it, over one
// subscription for all. The client's own request call can't have many publishes under way at
// once, each with a context of its own.
type requests struct {
	nc     *nats.Conn
	sender *sender
	sub    *nats.Subscription
	prefix string
	idle   sync.Pool // calls that were answered, for reuse

	// bucket is the prefix for the subjects of the bucket if it is in another domain or
	// account. Without the prefix these subjects mean a bucket of the connection's own account.
	bucket string

	closed chan struct{} // closed when there are no more calls: see gone

	mu      sync.Mutex
	next    uint64
	pending map[uint64]*call
	series  map[uint64]*series
	sweeps  bool  // the timer of sweep is set
	reason  error // the error of all calls after closed is closed
}

// bucketSubjects is the prefix of the subjects of all buckets.
const bucketSubjects = "$KV."

// A call is a request under way. When it is done, answer receives its result, or all if it
// belongs to answers.
type call struct {
	id     uint64
	began  time.Time
	answer chan result // of capacity 1

	all *answers // if set, all receives the result instead of answer
	at  int
}

// A result is how a call ends: with an answer, with errNoAnswer or errDisconnected, with the
// reason why there are no more calls, or with the error of sending.
type result struct {
	m   *nats.Msg
	err error
}

func newRequests(nc *nats.Conn) (*requests, error) {
	r := &requests{nc: nc, prefix: nc.NewInbox() + ".", closed: make(chan struct{}), pending: map[uint64]*call{}, series: map[uint64]*series{}}
	sub, err := nc.Subscribe(r.prefix+"*", r.answered)
	if err != nil {
		return nil, err
	}
	// Answers are small, and there are only as many as calls.
	if err := sub.SetPendingLimits(-1, -1); err != nil {
		_ = sub.Unsubscribe()
		return nil, err
	}
	r.sub, r.sender = sub, newSender(nc, r.refused)
	return r, nil
}

func (r *requests) answered(m *nats.Msg) {
	id, err := strconv.ParseUint(m.Subject[len(r.prefix):], 36, 64)
	if err != nil {
		return
	}
	r.mu.Lock()
	c, s := r.pending[id], r.series[id]
	delete(r.pending, id)
	r.mu.Unlock()
	switch {
	case c != nil:
		c.end(result{m: m})
	case s != nil:
		s.add(m)
	}
}

// forget drops a call for which nobody waits.
func (r *requests) forget(id uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.pending, id)
}

// newCall returns a call that has not been sent yet.
func (r *requests) newCall() *call {
	c, _ := r.idle.Get().(*call)
	if c == nil {
		c = &call{answer: make(chan result, 1)}
	}
	c.id = 0
	return c
}

// end ends a call that is no longer under way.
func (c *call) end(g result) {
	if c.all != nil {
		c.all.put(c.at, g)
		return
	}
	c.answer <- g
}

// start sends m together with the messages of others. The caller must wait for the call.
func (r *requests) start(c *call, m *nats.Msg) {
	id, ok := r.begin(c, m)
	if !ok {
		return
	}
	r.sender.send(outgoing{m: *r.placed(m), request: id})
}

// startNow sends m immediately, for callers that have many messages.
func (r *requests) startNow(c *call, m *nats.Msg) {
	id, ok := r.begin(c, m)
	if !ok {
		return
	}
	if err := r.publish(m); err != nil {
		r.refused(id, err)
	}
}

// refused ends a call that could not be sent.
func (r *requests) refused(id uint64, err error) {
	r.mu.Lock()
	c := r.pending[id]
	delete(r.pending, id)
	r.mu.Unlock()
	if c != nil {
		c.end(result{err: err})
	}
}

// begin registers the call before its message is sent, and returns its number. If there are no
// more calls, it ends this one and returns false.
func (r *requests) begin(c *call, m *nats.Msg) (id uint64, ok bool) {
	r.mu.Lock()
	if err := r.reason; err != nil {
		r.mu.Unlock()
		c.end(result{err: err})
		return 0, false
	}
	r.next++
	c.id, c.began = r.next, time.Now()
	r.pending[c.id] = c
	if !r.sweeps {
		r.sweeps = true
		time.AfterFunc(AnswerTimeout, r.sweep)
	}
	r.mu.Unlock()
	m.Reply = r.reply(c.id)
	return c.id, true
}

func (r *requests) reply(id uint64) string {
	var buffer [64]byte
	return string(strconv.AppendUint(append(buffer[:0], r.prefix...), id, 36))
}

// publish sends m immediately. An answer comes only if m.Reply is set.
func (r *requests) publish(m *nats.Msg) error { return r.nc.PublishMsg(r.placed(m)) }

// placed returns m, or a copy with the right subject if the bucket is in another domain or
// account.
func (r *requests) placed(m *nats.Msg) *nats.Msg {
	if r.bucket == "" || !strings.HasPrefix(m.Subject, bucketSubjects) {
		return m
	}
	elsewhere := *m
	elsewhere.Subject = r.bucket + m.Subject
	return &elsewhere
}

// ErrNoAnswer is the result of a call that the server did not answer in time. Nobody knows
// whether the server did what was requested.
var ErrNoAnswer = errors.New("no answer from the server")

// AnswerTimeout is how long one try waits, plus up to sweepPause. A leader that steps down
// drops the request in flight, so waiting longer does not help.
const (
	AnswerTimeout = 2 * time.Second
	sweepPause    = 200 * time.Millisecond
)

// sweep ends the calls that have waited too long, as long as there are calls. All calls share
// one timer: a timer for each would be a noticeable share of the cost of a write.
func (r *requests) sweep() {
	r.mu.Lock()
	defer r.mu.Unlock()
	next := AnswerTimeout
	for id, c := range r.pending {
		left := AnswerTimeout - time.Since(c.began)
		if left <= 0 {
			delete(r.pending, id)
			c.end(result{err: ErrNoAnswer})
			continue
		}
		next = min(next, left)
	}
	if r.sweeps = len(r.pending) > 0; r.sweeps {
		time.AfterFunc(max(next, sweepPause), r.sweep)
	}
}

// wait returns the answer, errNoAnswer if none came in time, or ctx's cause.
func (r *requests) wait(ctx context.Context, c *call) (*nats.Msg, error) {
	select {
	case g := <-c.answer:
		r.idle.Put(c) // the sender of the answer had already removed c from pending
		return g.m, g.err
	case <-ctx.Done():
		r.forget(c.id)
		return nil, context.Cause(ctx)
	}
}

// request sends m and waits for the answer.
func (r *requests) request(ctx context.Context, m *nats.Msg) (*nats.Msg, error) {
	c := r.newCall()
	r.start(c, m)
	return r.wait(ctx, c)
}

// disconnected ends the calls under way with this reason: their answers will not come.
func (r *requests) disconnected(reason error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.endAll(reason)
}

// endAll is disconnected for a caller that holds the lock.
func (r *requests) endAll(reason error) {
	for _, c := range r.pending {
		c.end(result{err: reason})
	}
	clear(r.pending)
	for _, s := range r.series {
		s.lose(reason)
	}
}

// shut ends the calls under way and all later calls with this reason. It returns false if it
// was called before.
func (r *requests) shut(reason error) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.reason != nil {
		return false
	}
	r.reason = reason
	close(r.closed)
	r.endAll(reason)
	return true
}

// gone returns the error of all further calls, or nil if calls are still possible.
func (r *requests) gone() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.reason
}

func (r *requests) close() {
	r.shut(engine.ErrClosed)
	r.sender.close()
	_ = r.sub.Unsubscribe() // fails only if the connection is closed already
}
