package doctor

import (
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/jsstore/internal/layout"
	"github.com/durable-execution/durable/jsstore/internal/rpc"
)

// deliverSkipped republishes the messages below the ack floor of their consumer. Until its
// server restarts, the consumer may still deliver such a message, or may have delivered it to
// an executor. The consumer's counts tell: they must show that none of these messages is in
// hand.
func (e *examiner) deliverSkipped(ctx context.Context, src layout.Source) (string, error) {
	list, err := e.skipped(ctx, src)
	if err != nil || len(list) == 0 {
		return "", err
	}
	if err := pause(ctx, settle); err != nil {
		return "", err
	}
	again, err := e.skipped(ctx, src)
	if err != nil {
		return "", err
	}
	still := map[uint64]bool{}
	for _, m := range again {
		still[m.Sequence] = true
	}
	return each(ctx, list, func(ctx context.Context, m *rpc.Stored) (string, error) {
		if !still[m.Sequence] {
			return "", nil
		}
		if d := e.ns.Limits.Retention; d != engine.Forever && time.Since(m.Time) > d {
			// It may have run, and its record may have been removed since: a server that has
			// lost the end of a file brings acknowledged messages back.
			return "set aside, older than the retention", e.ns.TakeOut(ctx, src.Stream, m, "skipped by its consumer, and older than the retention: it may have run")
		}
		if m.Broken { // without its headers it would run as if it never had any
			return "set aside, its headers are unreadable", e.ns.TakeOut(ctx, src.Stream, m, rpc.ErrBlock.Error())
		}
		return "sent again", e.deliverAgain(ctx, src, m)
	})
}

// skipped returns the messages below the ack floor of a consumer that no executor has in hand.
// It returns an error if that is not certain.
func (e *examiner) skipped(ctx context.Context, src layout.Source) ([]*rpc.Stored, error) {
	info, err := ask(ctx, e.Timeout, func(ctx context.Context) (*jetstream.ConsumerInfo, error) {
		c, err := e.rpc.JS.Consumer(ctx, src.Stream, src.Consumer)
		if err != nil {
			return nil, err
		}
		return c.CachedInfo(), nil
	})
	if err != nil {
		return nil, err
	}
	var list []*rpc.Stored
	given := 0 // delivered and still stored
	for m, err := range e.rpc.Scan(ctx, src.Stream, src.Filter) {
		if err != nil {
			return nil, err
		}
		if m.Sequence > info.Delivered.Stream {
			break
		}
		if given++; m.Sequence <= info.AckFloor.Stream {
			list = append(list, m)
		}
	}
	if len(list) > 0 && given-info.NumAckPending < len(list) {
		return nil, fmt.Errorf("%d messages of %s are in hand, and one below its ack floor may be among them: try again when they are acknowledged", info.NumAckPending, src.Consumer)
	}
	return list, nil
}
