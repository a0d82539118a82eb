package index

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/durable-execution/durable/engine"
)

// How many candidates are looked at one by one and sorted. Where every condition has
// more, the newest are walked through instead: among so many the page is full soon.
// Tests change them.
var (
	// narrowed takes some hundredths of a second.
	narrowed = 5_000
	// matched is for what an error says, which has no order to be walked in.
	matched = 20_000
	// clustered is for what may lie close together, where nothing tells when: half a
	// second.
	clustered = 50_000
)

// A condition is a part of the filter that an index has.
type condition struct {
	where string // of executions, unless table is set
	table string
	args  []any
	// most is how many candidates are looked at one by one; zero means narrowed.
	most int
}

// conditions are those that may select few. What all of them leave is judged.
func (s *search) conditions() []condition {
	f := s.filter
	var list []condition
	// What is of one tree may be of one old day, behind a million others.
	if f.Parent != "" {
		list = append(list, condition{where: "parent = ?", args: []any{f.Parent}, most: clustered})
	}
	if f.Tree != "" {
		from, until := below(f.Tree)
		list = append(list, condition{where: "(id = ? OR id >= ? AND id < ?)", args: []any{f.Tree, from, until}, most: clustered})
	}
	if f.Prefix != "" {
		// No id has anything behind the z.
		list = append(list, condition{where: "id >= ? AND id < ?", args: []any{f.Prefix, f.Prefix + "{"}, most: clustered})
	}
	for _, key := range slices.Sorted(maps.Keys(f.Metadata)) {
		list = append(list, condition{table: "metadata", where: "name = ? AND value = ?", args: []any{key, f.Metadata[key]}})
	}
	if text := trigrams(f.Error); text != "" {
		list = append(list, condition{table: "errors", where: "errors MATCH ?", args: []any{text}, most: matched})
	}
	list = span(list, "finished", f.Finished)
	list = span(list, "started", f.Started)
	return span(list, "created", f.Created)
}

func span(list []condition, column string, s engine.Span) []condition {
	if s.IsZero() {
		return list
	}
	until := int64(1<<63 - 1)
	if !s.Until.IsZero() {
		until = s.Until.Add(time.Millisecond - 1).UnixMilli() // what is before it is before that
	}
	from := int64(-1 << 63)
	if !s.From.IsZero() {
		from = s.From.UnixMilli()
	}
	return append(list, condition{where: column + " >= ? AND " + column + " < ?", args: []any{from, until}})
}

// trigrams is a query for all that may have a text somewhere; empty if it is too short.
func trigrams(text string) string {
	r := []rune(strings.ToLower(text))
	var list []string
	for i := 0; i+3 <= len(r); i++ {
		list = append(list, `"`+strings.ReplaceAll(string(r[i:i+3]), `"`, `""`)+`"`)
	}
	return strings.Join(list, " AND ")
}

// narrow returns the candidates of the condition that has the fewest, if they are
// few enough. Classes and times of creation alone need none: an index has them in
// order.
func (s *search) narrow(ctx context.Context) (best []int64, ok bool, err error) {
	f := s.filter
	f.Created = engine.Span{}
	if f.Error == "" && len((&search{filter: f}).conditions()) == 0 {
		return nil, false, nil
	}
	if total, all := s.members(); !all && total <= int64(narrowed) {
		ids, err := json.Marshal(s.selected())
		if err != nil {
			return nil, false, err
		}
		best, err = s.keys(ctx, condition{where: "class IN (SELECT value FROM json_each(?))", args: []any{string(ids)}})
		if err != nil || len(best) <= 1000 {
			return best, true, err
		}
		ok = true
	}
	for _, c := range s.conditions() {
		keys, err := s.keys(ctx, c)
		if err != nil {
			return nil, false, err
		}
		if len(keys) <= max(c.most, narrowed) && (!ok || len(keys) < len(best)) {
			best, ok = keys, true
		}
		if ok && len(best) <= 1000 {
			break
		}
	}
	return best, ok, nil
}

func (s *search) keys(ctx context.Context, c condition) ([]int64, error) {
	query := "SELECT key FROM executions WHERE " + c.where
	switch c.table {
	case "metadata":
		query = "SELECT execution FROM metadata WHERE " + c.where
	case "errors":
		query = "SELECT rowid FROM errors WHERE " + c.where
	}
	rows, err := s.tx.QueryContext(ctx, query+" LIMIT ?", append(slices.Clone(c.args), max(c.most, narrowed)+1)...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var list []int64
	for rows.Next() {
		var key int64
		if err := rows.Scan(&key); err != nil {
			return nil, err
		}
		list = append(list, key)
	}
	return list, rows.Err()
}
