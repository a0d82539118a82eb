package jsstore

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/durable-execution/durable/codec"
	"github.com/durable-execution/durable/engine"
)

// A call that the server does not answer is tried again for this long, when its
// context does not end first.
const patience = 15 * time.Second

// The pause before trying again grows from the first to the second.
const (
	firstPause = 50 * time.Millisecond
	lastPause  = time.Second
)

// temporary reports whether err says nothing about what was asked, so that
// asking again may help.
func temporary(err error) bool {
	return errors.Is(err, errNoAnswer) ||
		errors.Is(err, nats.ErrDisconnected) ||
		errors.Is(err, nats.ErrReconnectBufExceeded) ||
		errors.Is(err, nats.ErrConnectionReconnecting) ||
		errors.Is(err, errUnavailable)
}

// persist calls try until it returns something that is not temporary, or until
// ctx or the patience ends. It tells try how often it has been tried.
func persist(ctx context.Context, try func(n int) error) error {
	deadline := time.Now().Add(patience)
	for n, pause := 0, firstPause; ; n, pause = n+1, min(2*pause, lastPause) {
		err := try(n)
		if err == nil || !temporary(err) || time.Now().After(deadline) {
			return err
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// manage is persist for calls of the client that manage streams and consumers,
// each try of which gets a time of its own: a server that stops swallows them too.
func manage(ctx context.Context, call func(context.Context) error) error {
	return persist(ctx, func(int) error {
		try, cancel := context.WithTimeout(ctx, manageTimeout)
		defer cancel()
		err := call(try)
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
	err := persist(ctx, func(n int) error {
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
	return s.requests.wait(ctx, c)
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
// for the message's.
func (s *Store) publishEach(ctx context.Context, ms []*nats.Msg, ready func(i int) error, again func(*nats.Msg)) []error {
	errs := make([]error, len(ms))
	if len(ms) == 1 {
		if errs[0] = ready(0); errs[0] == nil {
			_, errs[0] = s.publish(ctx, ms[0], again)
		}
		return errs
	}
	all := s.requests.newAnswers(len(ms))
	for i := range ms {
		if i >= window && i%(window/2) == 0 {
			all.wait(ctx, i-window/2)
		}
		c := &all.calls[i]
		if errs[i] = context.Cause(ctx); errs[i] != nil {
			continue // nobody waits for its answer
		}
		if errs[i] = ready(i); errs[i] != nil {
			c.end(result{err: errs[i]})
		} else if g := s.groupOf(ms[i]); g != nil {
			g.start(c, ms[i])
		} else {
			s.requests.startNow(c, ms[i])
		}
	}
	all.wait(ctx, len(ms))
	for i, m := range ms {
		if errs[i] != nil {
			continue // it was not sent
		}
		errs[i] = acked(all.of(ctx, i))
		if errs[i] != nil && temporary(errs[i]) && ctx.Err() == nil {
			if again != nil {
				again(m)
			}
			_, errs[i] = s.publish(ctx, m, again)
		}
	}
	return errs
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
	}
	return e
}
