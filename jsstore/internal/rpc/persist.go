package rpc

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/durable-execution/durable/engine"
)

// Patience is how long a call is repeated while the server does not answer, or refuses for a
// temporary reason, unless the call's context ends first. Then the call returns
// [engine.ErrUnavailable]. Patience is longer than a server takes to restart or a cluster takes
// to elect a leader.
const Patience = 15 * time.Second

// The pause between two tries grows from firstPause to lastPause.
const (
	FirstPause = 50 * time.Millisecond
	LastPause  = time.Second
)

// temporary reports whether err says nothing about the request itself, so that a retry may
// help.
func temporary(err error) bool {
	return errors.Is(err, ErrNoAnswer) ||
		errors.Is(err, ErrDisconnected) ||
		errors.Is(err, nats.ErrDisconnected) ||
		errors.Is(err, nats.ErrReconnectBufExceeded) ||
		errors.Is(err, nats.ErrConnectionReconnecting) ||
		errors.Is(err, errUnavailable)
}

// A persistence repeats one call until the result is not temporary, or until its context or the
// patience ends.
type persistence struct {
	s     *Client
	ctx   context.Context // of the call
	end   time.Time       // the latest time at which a try may begin
	pause time.Duration
}

// Usable returns an error if no call must begin: its context has ended, or the store is closed.
func (s *Client) Usable(ctx context.Context) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return s.requests.gone()
}

// persistence begins a call, unless usable forbids it.
func (s *Client) persistence(ctx context.Context) (*persistence, error) {
	if err := s.Usable(ctx); err != nil {
		return nil, err
	}
	last := Patience - AnswerTimeout - sweepPause // so that the last try ends within the patience
	return &persistence{s: s, ctx: ctx, end: time.Now().Add(last), pause: FirstPause}, nil
}

// again waits for the pause before the next try; err is the temporary error of the last one. If
// there is to be no further try, it returns the error of the whole call.
func (p *persistence) again(err error) error {
	if time.Now().Add(p.pause).After(p.end) {
		return p.s.unavailable(nil, err)
	}
	select {
	case <-time.After(p.pause):
		p.pause = min(2*p.pause, LastPause)
		return nil
	case <-p.s.requests.closed:
		return p.s.requests.gone()
	case <-p.ctx.Done():
		return p.s.unavailable(context.Cause(p.ctx), err)
	}
}

// Persist calls try until the result is not temporary, or until ctx or the patience ends. It
// passes the number of earlier tries.
func (s *Client) Persist(ctx context.Context, try func(n int) error) error {
	p, err := s.persistence(ctx)
	if err != nil {
		return err
	}
	var last error // of the previous try
	for n := 0; ; n++ {
		err := try(n)
		switch {
		case err == nil:
			return nil
		case ended(ctx, err):
			return s.interrupted(ctx, last)
		case !temporary(err):
			return s.ClosedOr(err)
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

// unavailable returns the error of a call that did not succeed. last is the error of the last
// try; cause is why the call ended early, or nil.
func (s *Client) unavailable(cause, last error) error {
	if !s.Conn.IsConnected() {
		last = s.disconnected()
	}
	if cause == nil {
		return fmt.Errorf("%w: %w", engine.ErrUnavailable, last)
	}
	return fmt.Errorf("%w: %w: %w", engine.ErrUnavailable, last, cause)
}

// interrupted returns the error of a call whose context ended while it waited for an answer.
// last is the error of the previous try, or nil. A caller who cancelled the call without a
// deadline gets the cause alone, if there was no earlier try.
func (s *Client) interrupted(ctx context.Context, last error) error {
	cause := context.Cause(ctx)
	if last == nil && !errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return cause
	}
	if last == nil {
		last = ErrNoAnswer
	}
	return s.unavailable(cause, last)
}

// Unanswered returns the error of a request that is sent only once: views do so, since somebody
// will ask again.
func (s *Client) Unanswered(ctx context.Context, subject string, err error) error {
	err = s.denied(subject, err)
	switch {
	case ended(ctx, err):
		return s.interrupted(ctx, nil)
	case temporary(err):
		return s.unavailable(nil, err)
	}
	return s.ClosedOr(err)
}

// ClosedOr returns why the store is closed if the client reports a closed connection, and err
// otherwise. If a message is too long now because the new server accepts less than the previous
// one, the caller builds it differently when it repeats the whole call.
func (s *Client) ClosedOr(err error) error {
	switch {
	case errors.Is(err, nats.ErrConnectionClosed) && !errors.Is(err, engine.ErrClosed):
		return s.ClosedForGood()
	case errors.Is(err, nats.ErrMaxPayload):
		return fmt.Errorf("%w: %w", engine.ErrUnavailable, err)
	}
	return err
}

// Manage is persist for calls of the client that manage streams and consumers. Each try has its
// own time-out: a server that is stopping swallows such requests too.
//
// A caller that lacks the right to a request gets no answer, as if the server were slow; the
// server reports the refusal separately, as an error of the connection.
func (s *Client) Manage(ctx context.Context, call func(context.Context) error) error {
	return s.Persist(ctx, func(int) error {
		before := s.Conn.LastError()
		try, cancel := context.WithTimeout(ctx, ManageTimeout)
		defer cancel()
		err := call(try)
		if now := s.Conn.LastError(); err != nil && now != before && errors.Is(now, nats.ErrPermissionViolation) {
			return now
		}
		var api *jetstream.APIError
		switch {
		case errors.As(err, &api):
			if mapped := Error(api); temporary(mapped) {
				return mapped
			}
		case errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil:
			return ErrNoAnswer
		case errors.Is(err, nats.ErrNoResponders), errors.Is(err, jetstream.ErrNoStreamResponse):
			return fmt.Errorf("%w: %w", errUnavailable, err)
		}
		return err
	})
}

// ManageTimeout is longer than answerTimeout: a cluster that creates a stream or a consumer
// waits until its leader is elected.
const ManageTimeout = 5 * time.Second
