package engine

import (
	"context"
	"errors"
	"fmt"
)

// Move applies events to r, in order, and writes the result at r's revision. It returns the
// new record and the effects of the last event. Without events it writes r, which the
// caller has changed with [Apply]. Only Move and [Modify] write records. Move carries out
// no effects.
//
// ErrConflict says that another process has written the record since r was read. A
// *[TransitionError] says that the events can't happen to r. With either error Move
// returns r unchanged.
func Move(ctx context.Context, s Store, r Record, events ...Event) (Record, []Effect, error) {
	next, fx := r.Execution, []Effect(nil)
	for _, ev := range events {
		var err error
		if fx, err = applyTo(&next, ev); err != nil {
			return r, nil, err
		}
	}
	revision, err := s.Update(ctx, next, r.Revision)
	if err != nil {
		return r, nil, fmt.Errorf("update %s: %w", r.ID, err)
	}
	return Record{Execution: next, Revision: revision}, fx, nil
}

// Modify is Move for an event that does not depend on the revision: on a conflict it reads the
// latest record and applies the event to that. If the event can't happen any more, Modify
// returns the latest record with the *[TransitionError].
func Modify(ctx context.Context, s Store, r Record, ev Event) (Record, []Effect, error) {
	for {
		next, fx, err := Move(ctx, s, r, ev)
		if !errors.Is(err, ErrConflict) {
			return next, fx, err
		}
		if r, err = s.Get(ctx, r.ID); err != nil {
			return r, nil, fmt.Errorf("modify: %w", err)
		}
	}
}
