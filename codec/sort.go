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

// sortMaps sorts every map in the value at data[at:] by its keys, in place, and returns where
// the value ends. It compares keys by the bytes of strings, and by the encodings of other keys.
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

// A span is the position of a map's entry: its bytes are from first to end. The bytes to sort it
// by are from key to keyEnd.
type span struct{ first, end, key, keyEnd int }

// arrange sorts entries, which are next to each other in data, by their keys, which are in keys.
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
