package workers

import (
	"context"
	"errors"

	"github.com/durable-execution/durable/engine"
)

// unread handles messages that can't be acted on, because err says that a record can't be read.
// If a later version wrote the record, unread returns the messages for an executor of that
// version. If the record is damaged, no executor can act on the messages: unread sets them
// aside for an operator. If that fails while the executor shuts down, unread gives the messages up,
// because the shutdown must not wait for them. It returns any other err unchanged.
func (x *Executor) unread(ctx context.Context, err error, held ...*hand) error {
	handle := func(h *hand) error {
		return h.Return(ctx, now().Add(x.foreign(foreignKind{newer: true}, h.deliveries)), false)
	}
	switch {
	case errors.Is(err, engine.ErrNewer):
		x.log.Debug("record of a later version: messages are left to executors of that version", "error", err, "messages", len(held))
	case errors.Is(err, engine.ErrDamaged):
		x.log.Error("messages are set aside: the record that they need is damaged", "error", err, "messages", len(held))
		handle = func(h *hand) error { return h.SetAside(ctx, err.Error()) }
	default:
		return err
	}
	var failures []error
	for _, h := range held {
		err := handle(h)
		if err != nil && isClosed(x.stopping) {
			x.giveUp(ctx, h)
			continue
		}
		failures = append(failures, err)
	}
	return errors.Join(failures...)
}

// unreadable reports whether err says that this executor can't read a record, so that trying
// again does not help.
func unreadable(err error) bool {
	return errors.Is(err, engine.ErrDamaged) || errors.Is(err, engine.ErrNewer)
}
