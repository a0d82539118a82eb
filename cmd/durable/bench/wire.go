package bench

import (
	"bytes"
	"context"
	"fmt"
	"strconv"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// A wire sends messages and passes the answers on. A window limits how many answers may be
// outstanding. It is as lean as a client can be: it makes the reply subjects once, allocates
// nothing for an answer, and runs no timer.
type wire struct {
	nc      *nats.Conn
	sub     *nats.Subscription
	prefix  string
	replies []string
	done    []func(*nats.Msg) // by the index of the reply subject: the callback for the answer
	free    chan int
}

func newWire(nc *nats.Conn, window int) (*wire, error) {
	w := &wire{
		nc: nc, prefix: nc.NewInbox() + ".", replies: make([]string, window),
		done: make([]func(*nats.Msg), window), free: make(chan int, window),
	}
	for i := range window {
		w.replies[i] = w.prefix + strconv.Itoa(i)
		w.free <- i
	}
	var err error
	if w.sub, err = nc.Subscribe(w.prefix+"*", w.answered); err != nil {
		return nil, err
	}
	return w, w.sub.SetPendingLimits(-1, -1) // the window limits how many are pending
}

func (w *wire) close() { _ = w.sub.Unsubscribe() }

func (w *wire) answered(m *nats.Msg) {
	i, err := strconv.Atoi(m.Subject[len(w.prefix):])
	if err != nil {
		return
	}
	w.done[i](m)
	w.free <- i
}

// send sends m, and later calls done with the answer. One goroutine makes the calls for all
// answers. send waits while the window is full.
func (w *wire) send(ctx context.Context, m *nats.Msg, done func(*nats.Msg)) error {
	var i int
	select {
	case i = <-w.free:
	default:
		select {
		case i = <-w.free:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	w.done[i] = done
	m.Reply = w.replies[i]
	return w.nc.PublishMsg(m)
}

// ask sends m, waits until it is stored, and returns its sequence.
func (w *wire) ask(ctx context.Context, m *nats.Msg, answer chan *nats.Msg) (uint64, error) {
	if err := w.send(ctx, m, func(m *nats.Msg) { answer <- m }); err != nil {
		return 0, err
	}
	select {
	case m := <-answer:
		return stored(m)
	case <-ctx.Done():
		return 0, context.Cause(ctx)
	}
}

// idle waits until no answer is outstanding.
func (w *wire) idle(ctx context.Context) error {
	for n := range cap(w.free) {
		select {
		case i := <-w.free:
			defer func() { w.free <- i }()
		case <-ctx.Done():
			return fmt.Errorf("%d answers are missing: %w", cap(w.free)-n, context.Cause(ctx))
		}
	}
	return nil
}

// stored returns the sequence in the answer to a publish.
func stored(m *nats.Msg) (uint64, error) {
	if bytes.Contains(m.Data, []byte(`"error"`)) || len(m.Data) == 0 {
		return 0, fmt.Errorf("answer to a publish: %s%s", m.Data, m.Header.Get("Status"))
	}
	_, rest, _ := bytes.Cut(m.Data, []byte(`"seq":`))
	var seq uint64
	for _, c := range bytes.TrimLeft(rest, " ") {
		if c < '0' || c > '9' {
			break
		}
		seq = 10*seq + uint64(c-'0')
	}
	if seq == 0 {
		return 0, fmt.Errorf("answer to a publish without a sequence: %s", m.Data)
	}
	return seq, nil
}

// created is the header of a message that must be the first of its subject. All messages can
// share it, because sending only reads it.
var created = nats.Header{jetstream.ExpectedLastSubjSeqHeader: {"0"}}
