package jsstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/durable-execution/durable/engine"
)

// answerReserve is the space in a message for the subject of an answer and the like.
const answerReserve = 1 << 10

// Present implements [engine.Store].
func (s *Store) Present(ctx context.Context, answer func(engine.RollCall) *engine.Presence) (func(), error) {
	if err := s.rpc.Usable(ctx); err != nil {
		return nil, err
	}
	sub, err := s.rpc.Conn.Subscribe(s.layout.RollSubject(), func(m *nats.Msg) {
		p := answer(engine.DecodeRollCall(m.Data))
		if p == nil || m.Reply == "" {
			return
		}
		if data, err := engine.EncodePresence(*p, int(s.rpc.Conn.MaxPayload())-answerReserve); err == nil {
			_ = m.Respond(data) // if this fails the caller hears nothing and calls again
		}
	})
	if err != nil {
		return nil, fmt.Errorf("answer roll calls: %w", s.rpc.ClosedOr(err))
	}
	return func() { _ = sub.Unsubscribe() }, nil // fails only if the connection is closed already
}

// RollCall implements [engine.Store].
func (s *Store) RollCall(ctx context.Context, call engine.RollCall) ([]engine.Answer, error) {
	err := s.rpc.Usable(ctx)
	var answers []engine.Answer
	if err == nil {
		answers, err = s.rollCall(ctx, call)
	}
	if err != nil {
		return nil, fmt.Errorf("call the roll: %w", s.rpc.Unanswered(ctx, s.layout.RollSubject(), err))
	}
	return answers, nil
}

// errRollOver is the cause that ends a roll call normally.
var errRollOver = errors.New("the roll call is over")

func (s *Store) rollCall(ctx context.Context, call engine.RollCall) ([]engine.Answer, error) {
	body, err := engine.EncodeRollCall(call)
	if err != nil {
		return nil, err
	}
	if call.For == engine.NoAnswers {
		return nil, s.rpc.Conn.Publish(s.layout.RollSubject(), body)
	}
	inbox := s.rpc.Conn.NewInbox()
	sub, err := s.rpc.Conn.SubscribeSync(inbox)
	if err != nil {
		return nil, err
	}
	defer func() { _ = sub.Unsubscribe() }() // fails only on a closed connection
	wait := call.For
	if wait == 0 {
		wait = engine.DefaultRollCall
	}
	ctx, cancel := context.WithTimeoutCause(ctx, wait, errRollOver)
	defer cancel()
	called := time.Now()
	if err := s.rpc.Conn.PublishRequest(s.layout.RollSubject(), inbox, body); err != nil {
		return nil, err
	}
	var answers []engine.Answer
	awaited := map[string]bool{}
	for _, name := range call.Await {
		awaited[name] = true
	}
	for {
		m, err := sub.NextMsgWithContext(ctx)
		switch {
		case errors.Is(context.Cause(ctx), errRollOver):
			return answers, nil
		case ctx.Err() != nil:
			return nil, context.Cause(ctx)
		case errors.Is(err, nats.ErrNoResponders): // the server knows that nobody listens
			return answers, nil
		case err != nil:
			return nil, err
		}
		p, err := engine.DecodePresence(m.Data)
		if err != nil {
			continue // not from an executor
		}
		answers = append(answers, engine.Answer{Presence: p, CalledAt: called, Took: time.Since(called)})
		if delete(awaited, p.Executor); len(awaited) == 0 && len(call.Await) > 0 {
			return answers, nil
		}
	}
}
