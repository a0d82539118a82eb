package doctor

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/jsstore/internal/rpc"
)

// leftovers are records that should have been removed: they are back because a server was
// killed while the bucket kept only one revision, or no executor has run since they expired.
type leftovers struct {
	roots   map[string]bool   // all existing roots
	all     bool              // roots is complete
	expired []engine.Record   // roots whose retention is over
	below   map[string]string // for each missing root, the subject of a record below it
}

// has notes a record and reports whether it is a leftover.
func (l *leftovers) has(e *examiner, m *rpc.Stored, r engine.Record, now time.Time) bool {
	root := engine.RootOf(m.Subject[len(e.layout.RecordPrefix()):])
	switch {
	case root == m.Subject[len(e.layout.RecordPrefix()):]:
		l.roots[root] = true
		if r.ID != "" && e.ns.Outlived(m, &r.Execution) {
			l.expired = append(l.expired, r)
			return true
		}
	case l.all && !l.roots[root] && now.Sub(m.Time) > e.ns.Limits.Lease+overdue:
		l.below[root] = m.Subject
		return true
	}
	return false
}

// judgeLeftovers reports the leftovers. It checks twice: what an executor was about to remove
// is gone the second time.
func (e *examiner) judgeLeftovers(ctx context.Context, l leftovers) {
	if len(l.expired)+len(l.below) > 0 && pause(ctx, twice) != nil {
		return
	}
	l.expired = slices.DeleteFunc(l.expired, func(r engine.Record) bool {
		m, err := e.newest(ctx, e.layout.RecordSubject(r.ID))
		return err != nil || m.Revision() != r.Revision
	})
	if len(l.expired) > 0 {
		e.find(Warning, "work.expired", "", counted(len(l.expired), "tree is", "trees are")+" still there although the retention is over, "+l.expired[0].ID+" among them",
			"readers ignore them, but they take up room: no executor was running when they expired, or a killed server has brought them back", e.mendCommand())
		e.mends(func(ctx context.Context) (string, error) {
			return each(ctx, l.expired, func(ctx context.Context, r engine.Record) (string, error) {
				return e.forgetTree(ctx, r.ID, r.Revision, "removed")
			})
		})
	}
	maps.DeleteFunc(l.below, func(root, subject string) bool {
		there, err := e.orphaned(ctx, root, subject)
		return err != nil || !there
	})
	if len(l.below) > 0 {
		roots := slices.Sorted(maps.Keys(l.below))
		e.find(Warning, "work.orphans", "", fmt.Sprintf("there are records below %s, %s among them", counted(len(roots), "missing root", "missing roots"), roots[0]),
			"nobody removes them, and a new execution with that id would take them for its own", e.mendCommand())
		e.mends(func(ctx context.Context) (string, error) {
			return each(ctx, roots, func(ctx context.Context, root string) (string, error) {
				if there, err := e.orphaned(ctx, root, l.below[root]); err != nil || !there {
					return "", err
				}
				return e.forgetTree(ctx, root, 0, "removed")
			})
		})
	}
}

// orphaned reports whether a record exists although its root has neither a record nor a message
// in the queue: a client that enqueues may have stored the root's input already.
func (e *examiner) orphaned(ctx context.Context, root, subject string) (bool, error) {
	m, err := e.newest(ctx, subject)
	if err != nil || m == nil {
		return false, err
	}
	if m, err = e.newest(ctx, e.layout.RecordSubject(root)); err != nil || m != nil {
		return false, err
	}
	driven, err := e.hasMessage(ctx, root, everyMessage)
	return !driven, err
}

// each runs a repair for each element, one after the other, and says how many it repaired.
func each[T any](ctx context.Context, list []T, do func(context.Context, T) (string, error)) (string, error) {
	n, what := 0, ""
	var errs []error
	for _, one := range list {
		did, err := do(ctx, one)
		if errs = append(errs, err); err == nil && did != "" {
			n, what = n+1, did
		}
	}
	if n == 0 {
		return "", errors.Join(errs...)
	}
	return fmt.Sprintf("%d of %d: %s", n, len(list), what), errors.Join(errs...)
}
