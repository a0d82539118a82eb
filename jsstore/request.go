package jsstore

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

// requests sends messages and hands each answer to whoever waits for it, over
// one subscription for all. It exists beside the client's own request call so
// that many publishes can be under way at once, each with a context of its own.
type requests struct {
	nc     *nats.Conn
	sender *sender
	sub    *nats.Subscription
	prefix string
	idle   sync.Pool // of calls that were answered, to be used again

	// bucket is what the subjects of buckets are published behind where they are in
	// another domain, or another account: there they mean a bucket of one's own.
	bucket string

	closed chan struct{} // there are no more calls: see gone

	mu      sync.Mutex
	next    uint64
	pending map[uint64]*call
	series  map[uint64]*series
	sweeps  bool  // the sweep that ends calls without an answer is set
	reason  error // what all calls return once closed is
}

// bucketSubjects is what the subjects of the messages of buckets begin with.
const bucketSubjects = "$KV."

// A call is a request under way. It is done when answer can be received from, or when it
// is among those that are answered.
type call struct {
	id     uint64
	began  time.Time
	answer chan result // of capacity 1

	all *answers // instead of answer, and the call's place there
	at  int
}

// A result is what a call ends with: an answer, or errNoAnswer, errDisconnected, the
// reason why there are no more calls, or why it could not be sent.
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
	// Answers are small and their number is that of the calls.
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

// forget ends a call that nobody waits for.
func (r *requests) forget(id uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.pending, id)
}

// newCall returns a call that is not under way.
func (r *requests) newCall() *call {
	c, _ := r.idle.Get().(*call)
	if c == nil {
		c = &call{answer: make(chan result, 1)}
	}
	c.id = 0
	return c
}

// end ends a call that is not under way any more.
func (c *call) end(g result) {
	if c.all != nil {
		c.all.put(c.at, g)
		return
	}
	c.answer <- g
}

// start sends m with the messages of others. Somebody must wait for the call.
func (r *requests) start(c *call, m *nats.Msg) {
	id, ok := r.begin(c, m)
	if !ok {
		return
	}
	r.sender.send(outgoing{m: *r.placed(m), request: id})
}

// startNow sends m, for who has many to send.
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

// begin has the call under way, whose message is yet to be sent, and returns its number.
// If there are no more calls it ends this one and reports false.
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
		time.AfterFunc(answerTimeout, r.sweep)
	}
	r.mu.Unlock()
	m.Reply = r.reply(c.id)
	return c.id, true
}

func (r *requests) reply(id uint64) string {
	var buffer [64]byte
	return string(strconv.AppendUint(append(buffer[:0], r.prefix...), id, 36))
}

// publish sends m at once, and asks for no answer but at m.Reply.
func (r *requests) publish(m *nats.Msg) error { return r.nc.PublishMsg(r.placed(m)) }

// placed returns m, or what is to be sent in its place where the bucket is elsewhere.
func (r *requests) placed(m *nats.Msg) *nats.Msg {
	if r.bucket == "" || !strings.HasPrefix(m.Subject, bucketSubjects) {
		return m
	}
	elsewhere := *m
	elsewhere.Subject = r.bucket + m.Subject
	return &elsewhere
}

// errNoAnswer is what a call ends with when the server did not answer in time:
// whether it has done what was asked is not known.
var errNoAnswer = errors.New("no answer from the server")

// answerTimeout is how long one try waits, and up to sweepPause more. A leader that
// steps down swallows the request in flight, so that waiting longer does not help.
const (
	answerTimeout = 2 * time.Second
	sweepPause    = 200 * time.Millisecond
)

// sweep ends the calls that have waited long enough, for as long as there are any:
// one timer for all, since one for each would be a part of what a write costs.
func (r *requests) sweep() {
	r.mu.Lock()
	defer r.mu.Unlock()
	next := answerTimeout
	for id, c := range r.pending {
		left := answerTimeout - time.Since(c.began)
		if left <= 0 {
			delete(r.pending, id)
			c.end(result{err: errNoAnswer})
			continue
		}
		next = min(next, left)
	}
	if r.sweeps = len(r.pending) > 0; r.sweeps {
		time.AfterFunc(max(next, sweepPause), r.sweep)
	}
}

// wait returns the answer, errNoAnswer when there was none in time, or ctx's cause.
func (r *requests) wait(ctx context.Context, c *call) (*nats.Msg, error) {
	select {
	case g := <-c.answer:
		r.idle.Put(c) // whoever has sent to it had taken it from those under way
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

// disconnected ends the calls that are under way: their answers will not come, for the
// reason given.
func (r *requests) disconnected(reason error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.endAll(reason)
}

// endAll is disconnected with the lock held.
func (r *requests) endAll(reason error) {
	for _, c := range r.pending {
		c.end(result{err: reason})
	}
	clear(r.pending)
	for _, s := range r.series {
		s.lose(reason)
	}
}

// shut ends the calls that are under way, and all that follow, with reason. It reports
// false if that was done before.
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

// gone returns what all calls return if there are no more; nil if there are.
func (r *requests) gone() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.reason
}

func (r *requests) close() {
	r.shut(engine.ErrClosed)
	r.sender.close()
	_ = r.sub.Unsubscribe() // fails only on a connection that is closed already
}
