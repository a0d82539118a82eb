package codec

import (
	"bytes"
	"slices"
	"strings"
)

// sortedKeys appends the keys of m to room, which is empty, and sorts them.
func sortedKeys[V any](room []string, m map[string]V) []string {
	for key := range m {
		room = append(room, key)
	}
	slices.SortFunc(room, strings.Compare)
	return room
}

// sortMaps puts the entries of every map of the value at data[at:] in the order
// of their keys, in place, and returns where the value ends. The order is that of
// the strings or, of other keys, of their encodings.
func sortMaps(data []byte, at int) (end int, err error) {
	h, at, err := headAt(data, at)
	if err != nil {
		return 0, err
	}
	at += int(h.bytes)
	if !h.isMap {
		for range h.values {
			if at, err = sortMaps(data, at); err != nil {
				return 0, err
			}
		}
		return at, nil
	}
	spans := make([]span, h.values/2)
	for i := range spans {
		if spans[i], err = sortEntry(data, at); err != nil {
			return 0, err
		}
		at = spans[i].end
	}
	arrange(data, spans, data)
	return at, nil
}

func sortEntry(data []byte, at int) (span, error) {
	s := span{first: at, key: at}
	h, err := headOf(data[at:])
	if err != nil {
		return s, err
	}
	if h.isStr {
		s.key += h.size
	}
	if s.keyEnd, err = sortMaps(data, at); err != nil {
		return s, err
	}
	s.end, err = sortMaps(data, s.keyEnd)
	return s, err
}

// A span says where an entry of a map lies, from first to end, and where its key lies, from
// key to keyEnd, as bytes to sort by.
type span struct{ first, end, key, keyEnd int }

// arrange puts entries, which follow each other in data, in the order of their keys, which
// lie in keys.
func arrange(data []byte, entries []span, keys []byte) {
	compare := func(a, b span) int { return bytes.Compare(keys[a.key:a.keyEnd], keys[b.key:b.keyEnd]) }
	if slices.IsSortedFunc(entries, compare) {
		return
	}
	first := entries[0].first
	slices.SortFunc(entries, compare)
	sorted := make([]byte, 0, len(data)-first)
	for _, e := range entries {
		sorted = append(sorted, data[e.first:e.end]...)
	}
	copy(data[first:], sorted)
}
