package jsstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

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
