package jsstore

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/durable-execution/durable/codec"
	"github.com/durable-execution/durable/engine"
)

// Patience is how long a call goes on asking that the server does not answer, or refuses
// for a passing reason, when its context does not end first; then it returns
// [engine.ErrUnavailable]. It is longer than a server takes to restart and than a cluster
// takes to elect a leader.
const Patience = 15 * time.Second

// The pause before trying again grows from the first to the second.
const (
	firstPause = 50 * time.Millisecond
	lastPause  = time.Second
)

// temporary reports whether err says nothing about what was asked, so that
// asking again may help.
func temporary(err error) bool {
	return errors.Is(err, errNoAnswer) ||
		errors.Is(err, errDisconnected) ||
		errors.Is(err, nats.ErrDisconnected) ||
		errors.Is(err, nats.ErrReconnectBufExceeded) ||
		errors.Is(err, nats.ErrConnectionReconnecting) ||
		errors.Is(err, errUnavailable)
}

// A persistence is the repetition of one call: until it gets something that is not
// temporary, or until its context or the patience ends.
type persistence struct {
	s     *Store
	ctx   context.Context // of the call
	end   time.Time       // when the last try begins, at the latest
	pause time.Duration
}

// usable returns an error if a call is not to be begun: its context has ended, or the
// store is closed.
func (s *Store) usable(ctx context.Context) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return s.requests.gone()
}

// persistence begins a call, if it is to be begun.
func (s *Store) persistence(ctx context.Context) (*persistence, error) {
	if err := s.usable(ctx); err != nil {
		return nil, err
	}
	last := Patience - answerTimeout - sweepPause // so that the last try ends within the patience
	return &persistence{s: s, ctx: ctx, end: time.Now().Add(last), pause: firstPause}, nil
}

// again waits until it is time to try again after err, which is temporary. Otherwise it
// returns what the call returns.
func (p *persistence) again(err error) error {
	if time.Now().Add(p.pause).After(p.end) {
		return p.s.unavailable(nil, err)
	}
	select {
	case <-time.After(p.pause):
		p.pause = min(2*p.pause, lastPause)
		return nil
	case <-p.s.requests.closed:
		return p.s.requests.gone()
	case <-p.ctx.Done():
		return p.s.unavailable(context.Cause(p.ctx), err)
	}
}

// persist calls try until it returns something that is not temporary, or until
// ctx or the patience ends. It tells try how often it has been tried.
func (s *Store) persist(ctx context.Context, try func(n int) error) error {
	p, err := s.persistence(ctx)
	if err != nil {
		return err
	}
	var last error // of the try before
	for n := 0; ; n++ {
		err := try(n)
		switch {
		case err == nil:
			return nil
		case ended(ctx, err):
			return s.interrupted(ctx, last)
		case !temporary(err):
			return s.closedOr(err)
		}
		last = err
		if err := p.again(err); err != nil {
			return err
		}
	}
}

// ended reports whether err says that ctx has ended.
func ended(ctx context.Context, err error) bool {
	return ctx.Err() != nil && (errors.Is(err, context.Cause(ctx)) || errors.Is(err, ctx.Err()))
}

// unavailable returns the error of a call that could not be done, after the last of its
// tries; cause is why the call ended early, if it did.
func (s *Store) unavailable(cause, last error) error {
	if !s.nc.IsConnected() {
		last = s.disconnected()
	}
	if cause == nil {
		return fmt.Errorf("%w: %w", engine.ErrUnavailable, last)
	}
	return fmt.Errorf("%w: %w: %w", engine.ErrUnavailable, last, cause)
}

// interrupted returns the error of a call whose context ended while it waited for an
// answer; last is what came of the try before, if there was one. A caller who has changed
// their mind gets the cause alone.
func (s *Store) interrupted(ctx context.Context, last error) error {
	cause := context.Cause(ctx)
	if last == nil && !errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return cause
	}
	if last == nil {
		last = errNoAnswer
	}
	return s.unavailable(cause, last)
}

// unanswered returns the error of a request that is made once: for views, which somebody
// asks for again.
func (s *Store) unanswered(ctx context.Context, subject string, err error) error {
	err = s.denied(subject, err)
	switch {
	case ended(ctx, err):
		return s.interrupted(ctx, nil)
	case temporary(err):
		return s.unavailable(nil, err)
	}
	return s.closedOr(err)
}

// closedOr returns why the store is closed, if that is what the client says, or else err.
// A message that has become too long, since a server takes less than the one before, is
// made in another way when the whole call is repeated.
func (s *Store) closedOr(err error) error {
	switch {
	case errors.Is(err, nats.ErrConnectionClosed) && !errors.Is(err, engine.ErrClosed):
		return s.closedForGood()
	case errors.Is(err, nats.ErrMaxPayload):
		return fmt.Errorf("%w: %w", engine.ErrUnavailable, err)
	}
	return err
}

// manage is persist for calls of the client that manage streams and consumers,
// each try of which gets a time of its own: a server that stops swallows them too.
//
// Who lacks the right to what is asked for gets no answer, as if the server were slow;
// the server says so beside.
func (s *Store) manage(ctx context.Context, call func(context.Context) error) error {
	return s.persist(ctx, func(int) error {
		before := s.nc.LastError()
		try, cancel := context.WithTimeout(ctx, manageTimeout)
		defer cancel()
		err := call(try)
		if now := s.nc.LastError(); err != nil && now != before && errors.Is(now, nats.ErrPermissionViolation) {
			return now
		}
		var api *jetstream.APIError
		switch {
		case errors.As(err, &api):
			if mapped := apiError(api); temporary(mapped) {
				return mapped
			}
		case errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil:
			return errNoAnswer
		case errors.Is(err, nats.ErrNoResponders), errors.Is(err, jetstream.ErrNoStreamResponse):
			return fmt.Errorf("%w: %w", errUnavailable, err)
		}
		return err
	})
}

// manageTimeout is longer than answerTimeout: a cluster that makes a stream or a
// consumer waits for the election of its leader.
const manageTimeout = 5 * time.Second

// publish stores m in its stream and returns its sequence. It is for messages
// that may be stored twice; before sending m again it calls again, if not nil.
func (s *Store) publish(ctx context.Context, m *nats.Msg, again func(*nats.Msg)) (uint64, error) {
	var seq uint64
	err := s.persist(ctx, func(n int) error {
		if n > 0 && again != nil {
			again(m)
		}
		answer, err := s.request(ctx, m)
		if err == nil {
			seq, err = pubAck(answer)
		}
		return err
	})
	return seq, err
}

// request sends a message of the store's, alone or with others, and waits for the
// answer.
func (s *Store) request(ctx context.Context, m *nats.Msg) (*nats.Msg, error) {
	c := s.requests.newCall()
	if g := s.groupOf(m); g != nil {
		g.start(c, m)
	} else {
		s.requests.start(c, m)
	}
	answer, err := s.requests.wait(ctx, c)
	return answer, s.denied(m.Subject, err)
}

// denied returns what the server said of the right to publish to a subject in place of
// errNoAnswer: a message that is denied is not answered.
func (s *Store) denied(subject string, err error) error {
	if !errors.Is(err, errNoAnswer) {
		return err
	}
	said := s.nc.LastError()
	if errors.Is(said, nats.ErrPermissionViolation) && strings.Contains(said.Error(), `"`+subject+`"`) {
		return fmt.Errorf("%w: %w", engine.ErrUnavailable, said)
	}
	return err
}

// window is how many publishes of one call are under way at once. When half of them have
// been answered, as many more are sent.
const window = 2000

// publishAll is publish for many messages at once. It returns an error for each.
func (s *Store) publishAll(ctx context.Context, ms []*nats.Msg, again func(*nats.Msg)) []error {
	return s.publishEach(ctx, ms, func(int) error { return nil }, again)
}

// publishEach is publishAll for messages that are made as they are sent, so that the
// server has something to do meanwhile: ready puts one in its place, or its error stands
// for the message's. What has no answer is sent again together: one patience is for all.
func (s *Store) publishEach(ctx context.Context, ms []*nats.Msg, ready func(i int) error, again func(*nats.Msg)) []error {
	errs := make([]error, len(ms))
	if len(ms) == 1 {
		if errs[0] = ready(0); errs[0] == nil {
			_, errs[0] = s.publish(ctx, ms[0], again)
		}
		return errs
	}
	p, err := s.persistence(ctx)
	if err != nil {
		return fill(errs, err)
	}
	left := make([]int, len(ms))
	for i := range left {
		left[i] = i
	}
	for len(left) > 0 {
		if left = s.publishRound(ctx, ms, left, ready, errs); len(left) == 0 {
			break
		}
		if err := p.again(errs[left[0]]); err != nil {
			for _, i := range left {
				errs[i] = err
			}
			break
		}
		ready = func(i int) error {
			if again != nil {
				again(ms[i])
			}
			return nil
		}
	}
	return errs
}

func fill(errs []error, err error) []error {
	for i := range errs {
		errs[i] = err
	}
	return errs
}

// publishRound sends the messages with these indices, once, and keeps what came of each.
// It returns those that may be sent again.
func (s *Store) publishRound(ctx context.Context, ms []*nats.Msg, which []int, ready func(i int) error, errs []error) (again []int) {
	all, sent := s.requests.newAnswers(len(which)), make([]bool, len(which))
	for k, i := range which {
		if k >= window && k%(window/2) == 0 {
			all.wait(ctx, k-window/2)
		}
		c := &all.calls[k]
		if errs[i] = context.Cause(ctx); errs[i] != nil {
			continue // nobody waits for its answer
		}
		if errs[i] = ready(i); errs[i] != nil {
			c.end(result{err: errs[i]})
			continue
		}
		sent[k] = true
		if g := s.groupOf(ms[i]); g != nil {
			g.start(c, ms[i])
		} else {
			s.requests.startNow(c, ms[i])
		}
	}
	all.wait(ctx, len(which))
	var late error // of all that ctx has interrupted
	for k, i := range which {
		if sent[k] {
			errs[i] = s.closedOr(s.denied(ms[i].Subject, acked(all.of(ctx, k))))
		}
		switch {
		case ended(ctx, errs[i]):
			if late == nil {
				late = s.interrupted(ctx, nil)
			}
			errs[i] = late
		case sent[k] && temporary(errs[i]):
			again = append(again, i)
		}
	}
	return again
}

func acked(answer *nats.Msg, err error) error {
	if err == nil {
		_, err = pubAck(answer)
	}
	return err
}

// exclusive marks a ready message that is sent again: the first may have been
// stored, run and gone.
func exclusive(m *nats.Msg) {
	h := nats.Header{}
	maps.Copy(h, m.Header) // that one may be on its way
	h.Set(codec.HeaderExclusive, "1")
	m.Header = h
}

// errUnavailable is an answer that tells of a server which can't do anything now.
var errUnavailable = errors.New("JetStream is not available")

// pubAck reads the answer to a publish.
func pubAck(m *nats.Msg) (uint64, error) {
	if seq, ok := plainAck(m.Data); ok {
		return seq, nil
	}
	if err := noResponders(m); err != nil {
		return 0, err
	}
	var ack struct {
		Sequence uint64              `json:"seq"`
		Error    *jetstream.APIError `json:"error"`
	}
	if err := json.Unmarshal(m.Data, &ack); err != nil {
		return 0, fmt.Errorf("answer to publish: %w", err)
	}
	if ack.Error != nil {
		return 0, apiError(ack.Error)
	}
	return ack.Sequence, nil
}

// plainAck reads an answer that says nothing but where a message was stored, as
// nearly all do: {"stream":"...", "seq":1}. An error stands before the stream.
func plainAck(data []byte) (seq uint64, ok bool) {
	if !bytes.HasPrefix(data, []byte(`{"stream":`)) {
		return 0, false
	}
	_, rest, ok := bytes.Cut(data, []byte(`"seq":`))
	if !ok {
		return 0, false
	}
	digits := bytes.IndexFunc(rest, func(r rune) bool { return r < '0' || r > '9' })
	if digits < 1 {
		return 0, false
	}
	seq, err := strconv.ParseUint(string(rest[:digits]), 10, 64)
	return seq, err == nil
}

func noResponders(m *nats.Msg) error {
	if len(m.Data) == 0 && m.Header.Get("Status") == "503" {
		return fmt.Errorf("%w: nobody answers on its subject", errUnavailable)
	}
	return nil
}

// Error codes of the server, from its errors.json.
const (
	codeWrongLastSequence         = 10071 // JSStreamWrongLastSequenceErrF
	codeWrongLastSequenceConstant = 10164 // JSStreamWrongLastSequenceConstantErr: another write is in flight
	codeStoreFailed               = 10077 // JSStreamStoreFailedF: a limit, told apart by the text
	codeNoMessage                 = 10037 // JSNoMessageFoundErr
	codeInsufficient              = 10023 // JSInsufficientResourcesErr
	codeNotAvailable              = 10008 // JSClusterNotAvailErr
	codeBatchDisabled             = 10174 // JSAtomicPublishDisabledErr: the stream was made before its like took batches
	codeAccountLimit              = 10002 // JSAccountResourcesExceededErr
	codeStorageLimit              = 10047 // JSStorageResourcesExceededErr
	codeMemoryLimit               = 10028 // JSMemoryResourcesExceededErr
	codeNotEnabled                = 10076 // JSNotEnabledErr: also once the disk has failed
	codeNotEnabledForAccount      = 10039 // JSNotEnabledForAccountErr
)

// apiError maps the server's errors to the engine's, here and nowhere else.
func apiError(e *jetstream.APIError) error {
	switch e.ErrorCode {
	case codeWrongLastSequence, codeWrongLastSequenceConstant:
		return fmt.Errorf("%w: %s", engine.ErrConflict, e.Description)
	case codeNoMessage:
		return engine.ErrNotFound
	case codeNotAvailable, codeInsufficient:
		return fmt.Errorf("%w: %s", errUnavailable, e.Description)
	case codeStoreFailed:
		switch e.Description {
		case "maximum messages per subject exceeded":
			return engine.ErrExists
		case "maximum messages exceeded", "maximum bytes exceeded":
			return fmt.Errorf("%w: %s", engine.ErrQueueFull, e.Description)
		}
		return fmt.Errorf("%w: %w", engine.ErrUnavailable, e) // no space left on device, for instance
	case codeAccountLimit, codeStorageLimit, codeMemoryLimit, codeNotEnabled, codeNotEnabledForAccount:
		return fmt.Errorf("%w: %w", engine.ErrUnavailable, e)
	}
	return e
}
