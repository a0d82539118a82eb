package index

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"
)

// selected returns the classes of which the filter may select members.
func (s *search) selected() []int64 {
	list := []int64{}
	for c, id := range s.classes.id {
		if c.within(s.filter) && s.classes.members[id] > 0 {
			list = append(list, id)
		}
	}
	slices.Sort(list)
	return list
}

// members returns how many executions are in those classes, and whether those are all
// executions.
func (s *search) members() (n int64, all bool) {
	all = true
	for c, id := range s.classes.id {
		if c.within(s.filter) {
			n += s.classes.members[id]
		} else {
			all = all && s.classes.members[id] == 0
		}
	}
	return n, all
}

// where returns the conditions of the filter that an index or a column can check, for a walk.
func (s *search) where() (string, []any) {
	var list []string
	var args []any
	add := func(where string, with ...any) {
		list, args = append(list, where), append(args, with...)
	}
	for _, c := range s.conditions() {
		switch {
		case c.table != "":
		case strings.HasPrefix(c.where, "created"):
			add(c.where, c.args...)
		default: // a + keeps SQLite from using their index and sorting many rows
			add(strings.NewReplacer("parent ", "+parent ", "id ", "+id ", "started ", "+started ", "finished ", "+finished ").Replace(c.where), c.args...)
		}
	}
	f := s.filter
	if f.Error != "" {
		add("failed = 1")
	}
	// An execution is created before it starts or finishes, and a walk follows the times of
	// creation.
	for _, until := range []time.Time{f.Started.Until, f.Finished.Until} {
		if !until.IsZero() {
			add("created <= ?", until.UnixMilli())
		}
	}
	if a := s.after; a.ID != "" {
		ms := a.CreatedAt.UnixMilli()
		add("created <= ?", ms)
		add("(created < ? OR id > ?)", ms, a.ID)
	}
	if len(list) == 0 {
		return "1", nil
	}
	return strings.Join(list, " AND "), args
}

// walk calls next for each row that the columns select, the newest first, until next returns
// false.
func (s *search) walk(ctx context.Context, next func(row) (bool, error)) error {
	where, with := s.where()
	query, args := "SELECT "+rowColumns+", created, id FROM executions WHERE "+where, with
	order := " ORDER BY created DESC, id"
	if m := s.filter.Metadata; len(m) > 0 {
		// Walk along the index of one pair, which may occur only in old executions.
		key := slices.Sorted(maps.Keys(m))[0]
		query = "SELECT " + rowColumns + ", created, id FROM metadata CROSS JOIN executions ON key = execution WHERE name = ? AND value = ? AND " +
			strings.ReplaceAll(where, "created", "made")
		args = append([]any{key, m[key]}, with...)
		text, err := json.Marshal(s.selected())
		if err != nil {
			return err
		}
		query, args = query+" AND class IN (SELECT value FROM json_each(?))", append(args, string(text))
		order = " ORDER BY made DESC, id"
	} else if _, all := s.members(); !all {
		ids := s.selected()
		switch {
		case len(ids) == 0:
			return nil
		case len(ids) > s.limits.terms:
			text, err := json.Marshal(ids)
			if err != nil {
				return err
			}
			query, args = query+" AND class IN (SELECT value FROM json_each(?))", append(slices.Clone(with), string(text))
		default: // merges the classes, each of which is in order
			var list []string
			args = nil
			for _, id := range ids {
				list = append(list, query+" AND class = ?")
				args = append(append(args, with...), id)
			}
			query = strings.Join(list, " UNION ALL ")
		}
	}
	rows, err := s.tx.QueryContext(ctx, query+order, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var at int64
		var id string
		r, err := s.classes.row(func(to ...any) error { return rows.Scan(append(to, &at, &id)...) })
		if err != nil {
			return err
		}
		if more, err := next(r); err != nil || !more {
			return err
		}
	}
	return rows.Err()
}

// fetch returns the rows of those candidates that the filter selects.
func (s *search) fetch(ctx context.Context, keys []int64) ([]row, error) {
	text, err := json.Marshal(keys)
	if err != nil {
		return nil, err
	}
	rows, err := s.tx.QueryContext(ctx, "SELECT "+rowColumns+" FROM executions WHERE key IN (SELECT value FROM json_each(?))", string(text))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var list []row
	for rows.Next() {
		r, err := s.classes.row(rows.Scan)
		if err != nil {
			return nil, err
		}
		if (!r.over(s.now) || r.unsure()) && s.filter.Matches(r.x) {
			list = append(list, r)
		}
	}
	return list, rows.Err()
}

// count returns how many executions the filter selects if indexes alone can tell, and -1
// otherwise.
func (s *search) count(ctx context.Context) (int, error) {
	n, all := s.members()
	list := s.conditions()
	switch {
	case len(list) == 0 && s.filter.Error == "":
		return int(n), nil
	case len(list) > 1, s.filter.Error != "": // which must be judged one by one
		return -1, nil
	}
	c := list[0]
	byTime := strings.HasPrefix(c.where, "created") // an index has it after the class
	if !all && !byTime {
		return -1, nil
	}
	table := "executions"
	if c.table != "" {
		table = c.table
	}
	query, args := "SELECT count(*) FROM "+table+" WHERE "+c.where, c.args
	if !all {
		text, err := json.Marshal(s.selected())
		if err != nil {
			return 0, err
		}
		query, args = query+" AND class IN (SELECT value FROM json_each(?))", append(slices.Clone(args), string(text))
	}
	var total int
	err := s.tx.QueryRowContext(ctx, query, args...).Scan(&total)
	return total, err
}
