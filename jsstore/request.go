package jsstore

import (
	"context"
	"errors"
	"strconv"
	"strings"
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
	idle   sync.Pool // of calls that were answered, to be used again

	// bucket is what the subjects of buckets are published behind where they are in
	// another domain, or another account: there they mean a bucket of one's own.
	bucket string

	mu      sync.Mutex
	next    uint64
	pending map[uint64]*call
	series  map[uint64]*series
	sweeps  bool // the sweep that ends calls without an answer is set
}

// bucketSubjects is what the subjects of the messages of buckets begin with.
const bucketSubjects = "$KV."

// A call is a request under way. It is done when answer can be received from, or when it
// is among those that are answered.
type call struct {
	id     uint64
	began  time.Time
	answer chan *nats.Msg // of capacity 1; nil comes in time's stead, closed when the connection was lost

	all *answers // instead of answer, and the call's place there
	at  int
}

func newRequests(nc *nats.Conn) (*requests, error) {
	r := &requests{nc: nc, prefix: nc.NewInbox() + ".", pending: map[uint64]*call{}, series: map[uint64]*series{}}
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
	r.mu.Lock()
	c, s := r.pending[id], r.series[id]
	delete(r.pending, id)
	r.mu.Unlock()
	switch {
	case c != nil:
		c.end(m, true)
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
		c = &call{answer: make(chan *nats.Msg, 1)}
	}
	c.id = 0
	return c
}

// end gives a call that is under way no more its answer: nil comes in time's stead, not ok
// says that the connection was lost.
func (c *call) end(m *nats.Msg, ok bool) {
	switch {
	case c.all != nil:
		c.all.put(c.at, m, ok)
	case ok:
		c.answer <- m
	default:
		close(c.answer)
	}
}

// start sends m. Somebody must wait for the call.
func (r *requests) start(c *call, m *nats.Msg) error {
	r.mu.Lock()
	r.next++
	c.id, c.began = r.next, time.Now()
	r.pending[c.id] = c
	if !r.sweeps {
		r.sweeps = true
		time.AfterFunc(answerTimeout, r.sweep)
	}
	r.mu.Unlock()
	m.Reply = r.reply(c.id)
	err := r.publish(m)
	if err != nil {
		r.forget(c.id)
	}
	return err
}

func (r *requests) reply(id uint64) string {
	var buffer [64]byte
	return string(strconv.AppendUint(append(buffer[:0], r.prefix...), id, 36))
}

// publish sends m, to the bucket where that is, and asks for no answer but at m.Reply.
func (r *requests) publish(m *nats.Msg) error {
	if r.bucket != "" && strings.HasPrefix(m.Subject, bucketSubjects) {
		elsewhere := *m
		elsewhere.Subject = r.bucket + m.Subject
		m = &elsewhere
	}
	return r.nc.PublishMsg(m)
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
			c.end(nil, true)
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
	case m, ok := <-c.answer:
		if ok {
			r.idle.Put(c) // whoever has sent to it had taken it from those under way
		}
		return answerOf(m, ok)
	case <-ctx.Done():
		r.forget(c.id)
		return nil, context.Cause(ctx)
	}
}

func answerOf(m *nats.Msg, ok bool) (*nats.Msg, error) {
	switch {
	case !ok:
		return nil, nats.ErrDisconnected
	case m == nil:
		return nil, errNoAnswer
	}
	return m, nil
}

// request sends m and waits for the answer.
func (r *requests) request(ctx context.Context, m *nats.Msg) (*nats.Msg, error) {
	c := r.newCall()
	if err := r.start(c, m); err != nil {
		return nil, err
	}
	return r.wait(ctx, c)
}

// answers are those to many calls, which one waits for together: a wake-up for each would
// cost more than the rest of it.
type answers struct {
	requests *requests
	calls    []call

	mu     sync.Mutex
	list   []result
	count  int
	wanted int
	enough chan struct{} // of capacity 1: as many as are wanted have come
}

// A result is what a call was ended with.
type result struct {
	m     *nats.Msg
	ok    bool
	there bool
}

// newAnswers returns what n calls, which are not under way, are answered in.
func (r *requests) newAnswers(n int) *answers {
	a := &answers{requests: r, calls: make([]call, n), list: make([]result, n), enough: make(chan struct{}, 1)}
	for i := range a.calls {
		a.calls[i].all, a.calls[i].at = a, i
	}
	return a
}

func (a *answers) put(i int, m *nats.Msg, ok bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.list[i] = result{m, ok, true}
	if a.count++; a.count == a.wanted {
		a.enough <- struct{}{}
	}
}

// wait waits until n calls have been answered, or ctx ends.
func (a *answers) wait(ctx context.Context, n int) {
	a.mu.Lock()
	if a.count >= n {
		a.mu.Unlock()
		return
	}
	a.wanted = n
	a.mu.Unlock()
	select {
	case <-a.enough:
	case <-ctx.Done():
	}
}

// of returns the answer to call i as requests.wait does, but does not wait.
func (a *answers) of(ctx context.Context, i int) (*nats.Msg, error) {
	a.mu.Lock()
	g := a.list[i]
	a.mu.Unlock()
	if g.there {
		return answerOf(g.m, g.ok)
	}
	a.requests.forget(a.calls[i].id)
	return nil, context.Cause(ctx)
}

// disconnected ends all calls: their answers will not come.
func (r *requests) disconnected() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range r.pending {
		c.end(nil, false)
	}
	clear(r.pending)
	for _, s := range r.series {
		s.lose()
	}
}

func (r *requests) close() {
	_ = r.sub.Unsubscribe() // fails only on a connection that is closed already
	r.disconnected()
}

// A series is a request that several messages answer. They gather in it until they are
// taken, however long that takes: what waits here must not keep the answers to others.
// A subscription for each would be one for the server to note and forget, and a channel
// of 65,536 places here (nats.DefaultMaxChanLen).
type series struct {
	r  *requests
	id uint64

	mu   sync.Mutex
	list []*nats.Msg
	lost bool          // the connection
	more chan struct{} // of capacity 1: there is something to see
}

// ask sends a request that a series answers. The caller ends it.
func (r *requests) ask(subject string, body []byte) (*series, error) {
	s := &series{r: r, more: make(chan struct{}, 1)}
	r.mu.Lock()
	r.next++
	s.id = r.next
	r.series[s.id] = s
	r.mu.Unlock()
	if err := r.nc.PublishRequest(subject, r.reply(s.id), body); err != nil {
		s.end()
		return nil, err
	}
	return s, nil
}

func (s *series) end() {
	s.r.mu.Lock()
	defer s.r.mu.Unlock()
	delete(s.r.series, s.id)
}

func (s *series) add(m *nats.Msg) {
	s.mu.Lock()
	s.list = append(s.list, m)
	s.mu.Unlock()
	s.tell()
}

func (s *series) lose() {
	s.mu.Lock()
	s.lost = true
	s.mu.Unlock()
	s.tell()
}

func (s *series) tell() {
	select {
	case s.more <- struct{}{}:
	default:
	}
}

// next returns the next message. The errors are those of requests.wait.
func (s *series) next(ctx context.Context) (*nats.Msg, error) {
	if m, err := s.take(); m != nil || err != nil {
		return m, err
	}
	timer := time.NewTimer(answerTimeout)
	defer timer.Stop()
	for {
		select {
		case <-s.more:
		case <-timer.C:
			return nil, errNoAnswer
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
		if m, err := s.take(); m != nil || err != nil {
			return m, err
		}
	}
}

// take returns a message that is there, if there is one.
func (s *series) take() (*nats.Msg, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case len(s.list) > 0:
		m := s.list[0]
		s.list[0] = nil // the array keeps it otherwise
		s.list = s.list[1:]
		return m, nil
	case s.lost:
		return nil, nats.ErrDisconnected
	}
	return nil, nil
}
