package workers

import (
	"context"
	"errors"

	"github.com/durable-execution/durable/engine"
)

// unread sees to messages that lead to something which can't be read here, if that
// is what err says, and returns any other err as it is. What a later version has
// written is left to executors of that version. What is damaged nobody can act
// upon: the messages are set aside, where an operator finds them.
func (x *Executor) unread(ctx context.Context, err error, held ...*hand) error {
	see := func(h *hand) error {
		return h.Return(ctx, now().Add(x.foreign(foreignKind{newer: true}, h.deliveries)), false)
	}
	switch {
	case errors.Is(err, engine.ErrNewer):
		x.log.Debug("written by a later version: left to its executors", "error", err, "messages", len(held))
	case errors.Is(err, engine.ErrDamaged):
		x.log.Error("messages that lead nowhere are set aside", "error", err, "messages", len(held))
		see = func(h *hand) error { return h.SetAside(ctx, err.Error()) }
	default:
		return err
	}
	var failures []error
	for _, h := range held {
		failures = append(failures, see(h))
	}
	return errors.Join(failures...)
}

// unreadable reports whether trying again does not help here.
func unreadable(err error) bool {
	return errors.Is(err, engine.ErrDamaged) || errors.Is(err, engine.ErrNewer)
}
