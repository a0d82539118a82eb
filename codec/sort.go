package codec

import (
	"bytes"
	"reflect"
	"slices"
	"sync"
)

// sortable tells by type whether its values may hold a map that the encoder
// leaves in random order. It sorts maps of strings to strings, to bools and to
// interfaces, and no others.
var sortable sync.Map // reflect.Type -> bool

func needsSorting(t reflect.Type) bool {
	if t == nil {
		return false
	}
	if known, ok := sortable.Load(t); ok {
		return known.(bool)
	}
	needs := holdsMap(t, map[reflect.Type]bool{})
	sortable.Store(t, needs)
	return needs
}

// holdsMap reports whether a value of type t may hold an unsorted map. An
// interface may hold anything.
func holdsMap(t reflect.Type, seen map[reflect.Type]bool) bool {
	if seen[t] {
		return false
	}
	seen[t] = true
	switch t.Kind() {
	case reflect.Interface:
		return true
	case reflect.Map:
		sorted := t.Key() == reflect.TypeFor[string]() &&
			(t.Elem() == reflect.TypeFor[string]() || t.Elem() == reflect.TypeFor[bool]())
		return !sorted
	case reflect.Pointer, reflect.Slice, reflect.Array:
		return holdsMap(t.Elem(), seen)
	case reflect.Struct:
		for f := range t.Fields() {
			if (f.IsExported() || f.Anonymous) && holdsMap(f.Type, seen) {
				return true
			}
		}
	}
	return false
}

// sortMaps puts the entries of every map of the value at data[at:] in the order
// of their keys, in place, and returns where the value ends. The order is that of
// the strings or, of other keys, of their encodings.
func sortMaps(data []byte, at int) (end int, err error) {
	h, err := headOf(data[at:])
	if err != nil {
		return 0, err
	}
	at += h.size
	if rest := uint64(len(data) - at); h.bytes > rest || h.values > rest {
		return 0, errShort
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
	first := at
	entries := make([]entry, h.values/2)
	for i := range entries {
		if entries[i], at, err = sortEntry(data, at); err != nil {
			return 0, err
		}
	}
	if slices.IsSortedFunc(entries, entry.compare) {
		return at, nil
	}
	slices.SortFunc(entries, entry.compare)
	sorted := make([]byte, 0, at-first)
	for _, e := range entries {
		sorted = append(sorted, e.bytes...)
	}
	copy(data[first:], sorted)
	return at, nil
}

type entry struct{ key, bytes []byte }

func (e entry) compare(other entry) int { return bytes.Compare(e.key, other.key) }

func sortEntry(data []byte, at int) (entry, int, error) {
	h, err := headOf(data[at:])
	if err != nil {
		return entry{}, 0, err
	}
	value, err := sortMaps(data, at)
	if err != nil {
		return entry{}, 0, err
	}
	end, err := sortMaps(data, value)
	if err != nil {
		return entry{}, 0, err
	}
	key := data[at:value]
	if h.isStr {
		key = key[h.size:]
	}
	return entry{key: key, bytes: data[at:end]}, end, nil
}
