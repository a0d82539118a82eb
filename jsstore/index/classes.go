package index

import (
	"context"
	"errors"
	"fmt"
	"maps"

	"github.com/durable-execution/durable/engine"
)

// A class has the properties that searches ask for most. Executions with the same properties
// are its members.
type class struct {
	task, queue string
	status      engine.Status
	root        bool
}

func classOf(x engine.Execution) class {
	return class{task: x.Task, queue: x.Queue, status: x.Status, root: x.Parent == ""}
}

// within reports whether f may select members of c.
func (c class) within(f engine.Filter) bool {
	return (f.Task == "" || c.task == f.Task) && (f.Queue == "" || c.queue == f.Queue) &&
		f.Includes(c.status) && (!f.Roots || c.root)
}

// classes holds all existing classes, with the number of their members.
type classes struct {
	id      map[class]int64
	of      map[int64]class
	members map[int64]int64
	fresh   map[class]bool // not written yet
	changed map[int64]bool
}

func readClasses(ctx context.Context, db queryer) (*classes, error) {
	cs := &classes{id: map[class]int64{}, of: map[int64]class{}, members: map[int64]int64{}, fresh: map[class]bool{}, changed: map[int64]bool{}}
	rows, err := db.QueryContext(ctx, "SELECT id, task, queue, status, root, members FROM classes")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var c class
		var id, members int64
		if err := rows.Scan(&id, &c.task, &c.queue, &c.status, &c.root, &members); err != nil {
			return nil, err
		}
		cs.id[c], cs.of[id], cs.members[id] = id, c, members
	}
	return cs, rows.Err()
}

func (cs *classes) clone() *classes {
	return &classes{maps.Clone(cs.id), maps.Clone(cs.of), maps.Clone(cs.members), maps.Clone(cs.fresh), maps.Clone(cs.changed)}
}

// number returns the number of a class, and adds the class if it is new.
func (cs *classes) number(c class) int64 {
	id, ok := cs.id[c]
	if !ok {
		id = int64(len(cs.id)) + 1
		cs.id[c], cs.of[id], cs.fresh[c] = id, c, true
	}
	return id
}

// count adds n members to a class.
func (cs *classes) count(id, n int64) {
	cs.members[id] += n
	cs.changed[id] = true
}

// write writes the changes.
func (cs *classes) write(w *writer) error {
	for c := range cs.fresh {
		_, err := w.exec("INSERT INTO classes (id, task, queue, status, root, members) VALUES (?, ?, ?, ?, ?, 0)",
			cs.id[c], c.task, c.queue, string(c.status), c.root)
		if err != nil {
			return err
		}
	}
	for id := range cs.changed {
		if _, err := w.exec("UPDATE classes SET members = ? WHERE id = ?", cs.members[id], id); err != nil {
			return err
		}
	}
	clear(cs.fresh)
	clear(cs.changed)
	return nil
}

// row reads a row of [rowColumns].
func (cs *classes) row(scan func(...any) error) (row, error) {
	var r row
	var data []byte
	if err := scan(&r.key, &r.part, &r.sequence, &r.message, &r.vanishes, &r.lies, &r.class, &data); err != nil {
		return r, err
	}
	var err error
	if r.x, err = engine.DecodeRecord(data); err != nil && !errors.Is(err, engine.ErrNewer) {
		return r, fmt.Errorf("%w: execution %d: %w", errDamaged, r.key, err)
	}
	c, ok := cs.of[r.class]
	if !ok {
		return r, fmt.Errorf("%w: execution %d has an unknown class", errDamaged, r.key)
	}
	r.x.Status = c.status
	return r, nil
}
