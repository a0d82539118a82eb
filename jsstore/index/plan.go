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

// limits bound the work of an index.
type limits struct {
	// batch is how many messages one transaction of a writer takes in.
	batch int

	// A search fetches and sorts all candidates of a condition that has at most this many. If
	// every condition has more, the search walks through the executions from the newest on
	// instead: with so many candidates it soon fills the page.

	// narrowed is the limit of most conditions: such a search takes some hundredths of a
	// second.
	narrowed int
	// matched is the limit for a text in an error: an index of texts has no order by time.
	matched int
	// clustered is the limit for conditions whose executions may all be from one old day, far
	// from the newest: half a second.
	clustered int

	// terms is how many ranges one query merges; SQLite allows 500.
	terms int
}

var defaultLimits = limits{batch: 4000, narrowed: 5_000, matched: 20_000, clustered: 50_000, terms: 400}

// A condition is a part of the filter for which the file has an index.
type condition struct {
	where string // on executions, unless table is set
	table string
	args  []any
	// most is how many candidates to fetch at most; zero means limits.narrowed.
	most int
}

// conditions returns the conditions that may select few executions. The search checks the
// whole filter for each candidate.
func (s *search) conditions() []condition {
	f := s.filter
	var list []condition
	// The executions of one tree may be from one old day, behind a million newer ones.
	if f.Parent != "" {
		list = append(list, condition{where: "parent = ?", args: []any{f.Parent}, most: s.limits.clustered})
	}
	if f.Tree != "" {
		from, until := below(f.Tree)
		list = append(list, condition{where: "(id = ? OR id >= ? AND id < ?)", args: []any{f.Tree, from, until}, most: s.limits.clustered})
	}
	if f.Prefix != "" {
		// { follows z, the last character that an id may have.
		list = append(list, condition{where: "id >= ? AND id < ?", args: []any{f.Prefix, f.Prefix + "{"}, most: s.limits.clustered})
	}
	for _, key := range slices.Sorted(maps.Keys(f.Metadata)) {
		list = append(list, condition{table: "metadata", where: "name = ? AND value = ?", args: []any{key, f.Metadata[key]}})
	}
	if text := trigrams(f.Error); text != "" {
		list = append(list, condition{table: "errors", where: "errors MATCH ?", args: []any{text}, most: s.limits.matched})
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

// trigrams returns a full-text query for the executions whose error may contain the text;
// empty if the text is too short for one.
func trigrams(text string) string {
	r := []rune(strings.ToLower(text))
	var list []string
	for i := 0; i+3 <= len(r); i++ {
		list = append(list, `"`+strings.ReplaceAll(string(r[i:i+3]), `"`, `""`)+`"`)
	}
	return strings.Join(list, " AND ")
}

// narrow returns the candidates of the condition that has the fewest, if they are few
// enough. A filter of classes and times of creation alone needs no candidates: an index has
// these executions in order.
func (s *search) narrow(ctx context.Context) (best []int64, ok bool, err error) {
	f := s.filter
	f.Created = engine.Span{}
	if f.Error == "" && len((&search{filter: f}).conditions()) == 0 {
		return nil, false, nil
	}
	if total, all := s.members(); !all && total <= int64(s.limits.narrowed) {
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
		if len(keys) <= max(c.most, s.limits.narrowed) && (!ok || len(keys) < len(best)) {
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
	rows, err := s.tx.QueryContext(ctx, query+" LIMIT ?", append(slices.Clone(c.args), max(c.most, s.limits.narrowed)+1)...)
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
