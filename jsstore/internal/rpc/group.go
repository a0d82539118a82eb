package rpc

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nuid"
)

// If the server syncs each message to the disk before it answers, writes that arrive while
// others are under way are gathered and sent as one atomic batch (ADR-50), for which the server
// syncs once: see GroupWrites in jsstore.Config. On a single node a batch costs as much as a dozen
// messages, because the server writes files of its own for it (nats-server 2.15.2,
// newBatchStore). So a few messages are sent one by one. The messages of a refused batch are
// sent one by one too, since any one of them may be the cause.
const (
	leastGrouped = 16
	mostGrouped  = 500     // the server accepts 1,000
	MostBytes    = 8 << 20 // beyond this no more messages are added to a batch
)

// Headers of a batch.
const (
	headerBatchID       = "Nats-Batch-Id"
	headerBatchSequence = "Nats-Batch-Sequence"
	headerBatchCommit   = "Nats-Batch-Commit"
)

// A group gathers the writes of one stream.
type group struct {
	requests *requests
	Least    int
	refused  atomic.Bool // the stream accepts no batches

	mu      sync.Mutex
	waiting []grouped
	busy    bool // a goroutine is sending
}

type grouped struct {
	m *nats.Msg
	c *call
}

// newGroups returns a group for each list of prefixes, under each of them: the subjects of
// one stream begin with them.
func newGroups(r *requests, streams [][]string) map[string]*group {
	groups := map[string]*group{}
	for _, prefixes := range streams {
		g := &group{requests: r, Least: leastGrouped}
		for _, prefix := range prefixes {
			groups[prefix] = g
		}
	}
	return groups
}

// groupOf returns the group through which to send m, so that the server stores it together with
// others. It returns nil if m must be sent by itself.
func (s *Client) groupOf(m *nats.Msg) *group {
	for prefix, g := range s.Groups {
		if strings.HasPrefix(m.Subject, prefix) && !g.refused.Load() {
			return g
		}
	}
	return nil
}

func (g *group) start(c *call, m *nats.Msg) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.waiting = append(g.waiting, grouped{m, c})
	if !g.busy {
		g.busy = true
		go g.send()
	}
}

// send sends the waiting messages, and those that arrive meanwhile, until none is left.
func (g *group) send() {
	for list := g.next(); len(list) > 0; list = g.next() {
		if len(list) < g.Least || !g.together(list) {
			g.oneByOne(list)
		}
	}
}

func (g *group) next() []grouped {
	g.mu.Lock()
	defer g.mu.Unlock()
	n, size := 0, 0
	for n < len(g.waiting) && n < mostGrouped && size < MostBytes {
		size += SizeOnWire(g.waiting[n].m)
		n++
	}
	list := g.waiting[:n:n]
	if g.waiting = g.waiting[n:]; n == 0 {
		g.waiting, g.busy = nil, false
	}
	return list
}

// oneByOne sends each message as a request of its own, without waiting for the answers in
// between.
func (g *group) oneByOne(list []grouped) {
	all := g.requests.newAnswers(len(list))
	for i, w := range list {
		g.requests.startNow(&all.calls[i], w.m)
	}
	all.wait(context.Background(), len(list)) // this ends: sweep ends calls without an answer
	for i, w := range list {
		w.c.end(all.list[i])
	}
}

// together sends messages as a batch. It returns false if none of them was stored.
func (g *group) together(list []grouped) bool {
	id, last := nuid.Next(), len(list)-1
	for i, w := range list {
		m := &nats.Msg{Subject: w.m.Subject, Data: w.m.Data, Header: maps.Clone(w.m.Header)}
		if m.Header == nil {
			m.Header = nats.Header{}
		}
		m.Header.Set(headerBatchID, id)
		m.Header.Set(headerBatchSequence, strconv.Itoa(i+1))
		if i < last {
			if g.requests.publish(m) != nil {
				return false // the batch stays incomplete, so the server drops it
			}
			continue
		}
		m.Header.Set(headerBatchCommit, "1")
		c := g.requests.newCall()
		g.requests.startNow(c, m)
		return g.ended(list, <-c.answer)
	}
	return false
}

// ended passes the answer to a batch on to the callers of its messages.
func (g *group) ended(list []grouped, all result) bool {
	if all.err != nil { // nobody knows whether they are stored
		for _, w := range list {
			w.c.end(all)
		}
		return true
	}
	var ack struct {
		Sequence uint64              `json:"seq"`
		Count    int                 `json:"count"`
		Error    *jetstream.APIError `json:"error"`
	}
	if json.Unmarshal(all.m.Data, &ack) != nil || ack.Error != nil || ack.Count != len(list) {
		g.refused.Store(ack.Error != nil && ack.Error.ErrorCode == codeBatchDisabled)
		return false
	}
	// The messages are stored one after the other; the answer has the sequence of the last.
	first := ack.Sequence - uint64(len(list)) + 1
	for i, w := range list {
		data := strconv.AppendUint([]byte(`{"stream":"","seq":`), first+uint64(i), 10)
		w.c.end(result{m: &nats.Msg{Data: slices.Concat(data, []byte("}"))}})
	}
	return true
}
