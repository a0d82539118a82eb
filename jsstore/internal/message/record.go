package message

import (
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/durable-execution/durable/codec"
	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/jsstore/internal/layout"
	"github.com/durable-execution/durable/jsstore/internal/rpc"
)

// A grave is the message that replaces a root's record when its tree is deleted; any client of
// key-value buckets deletes a key in the same way. Its revision comes after everything in this
// tree and before everything in a later tree with the same id. So a purge up to it, however
// late, removes the one and leaves the other. The grave vanishes by itself.
const (
	HeaderOperation = "KV-Operation"
	OperationDelete = "DEL"
	// GraveTTL is the shortest time to live that the server accepts, in seconds. Nobody needs
	// the grave after the purge. If it vanishes before the purge, nothing limits the purge,
	// which is still right.
	GraveTTL = "1"
)

func GraveMessage(l layout.Layout, root, ttl string) *nats.Msg {
	m := nats.NewMsg(l.RecordSubject(root))
	m.Header.Set(HeaderOperation, OperationDelete)
	m.Header.Set(jetstream.MsgTTLHeader, ttl)
	return m
}

func IsGrave(m *rpc.Stored) bool { return m.Header.Get(HeaderOperation) != "" }

func DecodeRecord(m *rpc.Stored) (engine.Record, error) {
	if IsGrave(m) {
		return engine.Record{}, engine.ErrNotFound
	}
	x, err := engine.DecodeRecord(m.Data)
	if err != nil {
		err = fmt.Errorf("%s, revision %d: %w", m.Subject, m.Sequence, err)
	}
	return engine.Record{Execution: x, Revision: m.Revision()}, err
}

func Vanishes(m *rpc.Stored) time.Time {
	n, err := strconv.ParseInt(m.Header.Get(jetstream.MsgTTLHeader), 10, 64)
	if err != nil || n <= 0 {
		return time.Time{}
	}
	return m.Time.Add(time.Duration(min(n, codec.MaxMillis/1000)) * time.Second)
}

// Headers of a rollup.
const (
	headerRollup  = "Nats-Rollup"
	rollupSubject = "sub"
)

// Replacing marks a write to the bucket that may replace an older revision of its key.
func Replacing(h nats.Header) { h[headerRollup] = []string{rollupSubject} }

// Unconditional returns a write to the bucket at any revision. It is for messages that are not
// records and may be written twice if an answer gets lost.
func Unconditional(subject string, data []byte) *nats.Msg {
	m := &nats.Msg{Subject: subject, Data: data, Header: nats.Header{}}
	Replacing(m.Header)
	return m
}

// Seconds formats a time to live for the server in whole seconds. It rounds up, since the
// server would drop the fraction.
func Seconds(d time.Duration) string {
	return strconv.FormatInt(int64((d+time.Second-1)/time.Second), 10)
}
