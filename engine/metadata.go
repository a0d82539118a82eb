package engine

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Limits of [Metadata]. They keep it a small part of a record, and of the headers
// of a message, of which a server takes 64 KiB.
const (
	maxMetadata      = 16  // pairs
	maxMetadataKey   = 64  // characters
	maxMetadataValue = 256 // bytes
)

// Metadata is what an execution can be found by beside its task, its status and
// its times: an order number, a customer, a release. Up to 16 pairs of a key, 1 to
// 64 of A-Z a-z 0-9 _ -, and a value, 1 to 256 bytes of UTF-8 that can be printed,
// without a space at either end. It decides nothing. It is not encrypted, and never
// changes: where the same [ID] is enqueued again, the first one's stays.
//
// As an option it adds to what was given before, and of one key the last value
// wins. It is that of the one execution: children and the finalize have what their
// own definition or spawn gives them. [Client.Retry] keeps it.
type Metadata map[string]string

func (m Metadata) set(o *options) {
	merged := maps.Clone(o.metadata)
	if merged == nil && len(m) > 0 {
		merged = Metadata{}
	}
	maps.Copy(merged, m)
	o.metadata = merged
}

// Validate returns what is wrong with m, or nil.
func (m Metadata) Validate() error {
	switch {
	case len(m) == 0: // most, and sorting nothing allocates
		return nil
	case len(m) > maxMetadata:
		return fmt.Errorf("metadata: %d pairs, at most %d", len(m), maxMetadata)
	}
	for _, key := range slices.Sorted(maps.Keys(m)) {
		if err := ValidateMetadata(key, m[key]); err != nil {
			return err
		}
	}
	return nil
}

// ValidateMetadata returns what is wrong with one pair of a [Metadata], or nil.
func ValidateMetadata(key, value string) error {
	if err := validateName("metadata key", key, maxMetadataKey); err != nil {
		return err
	}
	switch {
	case value == "":
		return fmt.Errorf("metadata %s: the value is empty", key)
	case len(value) > maxMetadataValue:
		return fmt.Errorf("metadata %s: a value of %d bytes, at most %d", key, len(value), maxMetadataValue)
	case !utf8.ValidString(value):
		return fmt.Errorf("metadata %s: the value is no UTF-8", key)
	case strings.ContainsFunc(value, func(r rune) bool { return !unicode.IsPrint(r) }):
		return fmt.Errorf("metadata %s: value %q has what can't be printed", key, value)
	case strings.TrimSpace(value) != value:
		return fmt.Errorf("metadata %s: value %q begins or ends with a space", key, value)
	}
	return nil
}
