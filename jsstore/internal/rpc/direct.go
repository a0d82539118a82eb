package rpc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"maps"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/durable-execution/durable/engine"
)

// One direct get requests at most this many messages and bytes: otherwise the server would send
// more than a slow connection may have pending before the server closes it (max_pending, 64
// MB). For each request the server counts the remaining messages, which takes time in
// proportion to the stream (nats-server 2.15.2, fileStore.NumPending): many small requests take
// quadratic time.
const (
	DirectBatch = 20_000
	DirectBytes = 16 << 20
)

// Scan returns the messages of a stream that match a subject, in order.
func (s *Client) Scan(ctx context.Context, stream, subject string) iter.Seq2[*Stored, error] {
	return s.ScanFrom(ctx, stream, subject, 1, 0)
}

// ScanFrom returns the messages of a stream at or after a sequence, in order, whose subject
// matches; an empty subject matches all. It requests batch messages at a time; zero means
// directBatch.
func (s *Client) ScanFrom(ctx context.Context, stream, subject string, seq uint64, batch int) iter.Seq2[*Stored, error] {
	query := map[string]any{"seq": max(seq, 1), "batch": batch, "max_bytes": DirectBytes}
	if batch == 0 {
		query["batch"] = DirectBatch
	}
	if subject != "" {
		query["next_by_subj"] = subject
	}
	return func(yield func(*Stored, error) bool) {
		for query := maps.Clone(query); ; {
			n := 0
			for m, err := range s.DirectGet(ctx, stream, query) {
				if err != nil {
					yield(nil, err)
					return
				}
				n, query["seq"] = n+1, m.Sequence+1
				if !yield(m, nil) {
					return
				}
			}
			if n == 0 {
				return
			}
		}
	}
}

// LastOf returns the last message of each of up to 1,024 subjects, in no particular order. It
// leaves out subjects without a message, and some others if all do not fit into one answer.
func (s *Client) LastOf(ctx context.Context, stream string, subjects []string) iter.Seq2[*Stored, error] {
	return s.DirectGet(ctx, stream, map[string]any{"multi_last": subjects, "max_bytes": DirectBytes})
}

// DirectGet requests several messages from any replica. If the header block of a message can't
// be trusted and the query starts at a sequence, it gets the message from the leader instead.
// If the query asks for the last messages of several subjects, it leaves the message out.
func (s *Client) DirectGet(ctx context.Context, stream string, query map[string]any) iter.Seq2[*Stored, error] {
	return func(yield func(*Stored, error) bool) {
		body, err := json.Marshal(query)
		if err != nil {
			yield(nil, err)
			return
		}
		if err := s.Usable(ctx); err != nil {
			yield(nil, err)
			return
		}
		name := s.apiName + "DIRECT.GET." + stream
		answers, err := s.requests.ask(name, body)
		if err != nil {
			yield(nil, s.Unanswered(ctx, name, err))
			return
		}
		defer answers.end()
		failed := func(err error) { yield(nil, fmt.Errorf("read %s: %w", stream, err)) }
		subject, _ := query["next_by_subj"].(string)
		from, inOrder := query["seq"].(uint64)
		left := uint64(0) // after the previous message
		for {
			m, err := answers.next(ctx)
			if err == nil {
				err = noResponders(m)
			}
			if err != nil {
				failed(s.Unanswered(ctx, name, err))
				return
			}
			a, err := readDirect(m)
			switch {
			case errors.Is(err, errUnsure) && !inOrder:
				continue
			case errors.Is(err, errUnsure):
				a.m, err = s.From(ctx, stream, subject, from)
				if errors.Is(err, engine.ErrNotFound) {
					continue // the message has just been removed
				}
				if err == nil {
					a.m.Left = max(left, 1) - 1
				}
			case err == nil && (a.status == "204" || a.status == "404"): // the end; nothing
				return
			case err == nil && a.m == nil:
				err = fmt.Errorf("%s %s", a.status, a.about)
			}
			if err != nil {
				failed(err)
				return
			}
			if inOrder && a.m.Sequence < from {
				continue // the leader returned this one already, because the message before it was removed
			}
			from, left = a.m.Sequence+1, a.m.Left
			if !yield(a.m, nil) {
				return
			}
		}
	}
}

// A directAnswer is one of the answers to a direct get.
type directAnswer struct {
	m      *Stored // nil if the answer has no message
	status string  // of an answer without a message: how the get ended
	about  string  // the description of the status
}

// errUnsure is returned for an answer whose headers may not come from the server.
var errUnsure = errors.New("the header block of the answer can't be parsed to its end")

// readDirect reads an answer to a direct get. The server writes its headers last.
func readDirect(m *nats.Msg) (directAnswer, error) {
	if !isWhole(m) {
		return directAnswer{}, errUnsure
	}
	// The first of the server's headers, Nats-Stream, may have become part of the line before
	// it.
	if len(m.Header["Nats-Subject"]) == 0 {
		return directAnswer{status: m.Header.Get("Status"), about: m.Header.Get("Description")}, nil
	}
	last := func(name string) string {
		values := m.Header[name]
		if len(values) == 0 {
			return ""
		}
		return values[len(values)-1]
	}
	seq, err := strconv.ParseUint(last("Nats-Sequence"), 10, 64)
	if err != nil {
		return directAnswer{}, fmt.Errorf("answer to a direct get: sequence: %w", err)
	}
	at, err := time.Parse(time.RFC3339Nano, last("Nats-Time-Stamp"))
	if err != nil {
		return directAnswer{}, fmt.Errorf("answer to a direct get: time: %w", err)
	}
	left, _ := strconv.ParseUint(last("Nats-Num-Pending"), 10, 64)
	return directAnswer{m: &Stored{
		Subject: last("Nats-Subject"), Sequence: seq, Header: m.Header, Data: m.Data, Time: at, Left: left,
	}}, nil
}
