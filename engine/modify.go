package engine

import (
	"context"
	"errors"
	"fmt"
)

// Move applies events, in order, to r, writes the result at r's revision, and
// returns it with the effects of the last event; without any it writes what [Apply]
// has made of r before. Together with [Modify] it is
// the only writer of records. It carries out no effects.
//
// ErrConflict says that somebody else wrote since: what r's holder knows is
// stale. A *[TransitionError] says that the events can't happen to r. Both come
// with r as it was.
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

// Modify is Move for an event that may happen to the execution whatever has been
// written since r: on a conflict it reads the record and moves that. With the
// *[TransitionError] that says that the event can't happen any more comes the
// record that says so.
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
