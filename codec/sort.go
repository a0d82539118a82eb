package codec

import (
	"bytes"
	"slices"
)

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
	arrange(entries, data[first:at])
	return at, nil
}

// arrange sorts entries, which lie in data one after the other.
func arrange(entries []entry, data []byte) {
	if slices.IsSortedFunc(entries, entry.compare) {
		return
	}
	slices.SortFunc(entries, entry.compare)
	sorted := make([]byte, 0, len(data))
	for _, e := range entries {
		sorted = append(sorted, e.bytes...)
	}
	copy(data, sorted)
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
