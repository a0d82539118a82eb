package rpc

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/durable-execution/durable/engine"
)

// Publish stores m in its stream and returns its sequence. Use it for messages that may be
// stored twice. Before it sends m another time, it calls again, if that is not nil.
func (s *Client) Publish(ctx context.Context, m *nats.Msg, again func(*nats.Msg)) (uint64, error) {
	var seq uint64
	err := s.Persist(ctx, func(n int) error {
		if n > 0 && again != nil {
			again(m)
		}
		answer, err := s.Request(ctx, m)
		if err == nil {
			seq, err = PubAck(answer)
		}
		return err
	})
	return seq, err
}

// Request sends a message of the store, alone or grouped with others, and waits for the answer.
func (s *Client) Request(ctx context.Context, m *nats.Msg) (*nats.Msg, error) {
	c := s.requests.newCall()
	if g := s.groupOf(m); g != nil {
		g.start(c, m)
	} else {
		s.requests.start(c, m)
	}
	answer, err := s.requests.wait(ctx, c)
	return answer, s.denied(m.Subject, err)
}

// denied replaces errNoAnswer by the server's error, if the server has denied the right to
// publish to the subject: it does not answer a denied message.
func (s *Client) denied(subject string, err error) error {
	if !errors.Is(err, ErrNoAnswer) {
		return err
	}
	said := s.Conn.LastError()
	if errors.Is(said, nats.ErrPermissionViolation) && strings.Contains(said.Error(), `"`+subject+`"`) {
		return fmt.Errorf("%w: %w", engine.ErrUnavailable, said)
	}
	return err
}

// window is how many publishes of one call may be under way. Whenever half of them are
// answered, as many more are sent.
const window = 2000

// PublishAll is publish for many messages. It returns one error for each.
func (s *Client) PublishAll(ctx context.Context, ms []*nats.Msg, again func(*nats.Msg)) []error {
	return s.PublishEach(ctx, ms, func(int) error { return nil }, again)
}

// PublishEach is publishAll for messages that are built while others are being sent, so that
// the server is busy meanwhile: ready(i) puts message i into ms, or returns its error. Messages
// without an answer are sent again together and share one patience.
func (s *Client) PublishEach(ctx context.Context, ms []*nats.Msg, ready func(i int) error, again func(*nats.Msg)) []error {
	errs := make([]error, len(ms))
	if len(ms) == 1 {
		if errs[0] = ready(0); errs[0] == nil {
			_, errs[0] = s.Publish(ctx, ms[0], again)
		}
		return errs
	}
	left := make([]int, len(ms))
	for i := range left {
		left[i] = i
	}
	p, err := s.persistence(ctx)
	for err == nil && len(left) > 0 {
		if left = s.publishRound(ctx, ms, left, ready, errs); len(left) > 0 {
			err = p.again(errs[left[0]])
		}
		ready = func(i int) error {
			if again != nil {
				again(ms[i])
			}
			return nil
		}
	}
	for _, i := range left {
		errs[i] = err
	}
	return errs
}

// publishRound sends the messages with these indices once and stores their errors in errs. It
// returns the indices of the messages that may be sent again.
func (s *Client) publishRound(ctx context.Context, ms []*nats.Msg, which []int, ready func(i int) error, errs []error) (again []int) {
	all, sent := s.requests.newAnswers(len(which)), make([]bool, len(which))
	for k, i := range which {
		if k >= window && k%(window/2) == 0 {
			all.wait(ctx, k-window/2)
		}
		c := &all.calls[k]
		if errs[i] = context.Cause(ctx); errs[i] != nil {
			continue // nobody waits for the answer
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
	var late error // the error of all messages that ctx has interrupted
	for k, i := range which {
		if sent[k] {
			errs[i] = s.ClosedOr(s.denied(ms[i].Subject, acked(all.of(ctx, k))))
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
		_, err = PubAck(answer)
	}
	return err
}

// PubAck reads the answer to a publish.
func PubAck(m *nats.Msg) (uint64, error) {
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
		return 0, Error(ack.Error)
	}
	return ack.Sequence, nil
}

// plainAck reads an answer that says only where a message was stored, as nearly all do:
// {"stream":"...", "seq":1}. An error would precede the stream.
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
