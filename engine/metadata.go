package engine

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Limits of [Metadata]. They keep the metadata small within a record, and within the
// headers of a message, which the server limits to 64 KiB.
const (
	maxMetadata      = 16  // pairs
	maxMetadataKey   = 64  // characters
	maxMetadataValue = 256 // bytes
)

// Metadata are pairs by which an execution can be found: an order number, a customer, a
// release. There are at most 16 pairs. A key has 1 to 64 characters of A-Z a-z 0-9 _ -. A
// value has 1 to 256 bytes of printable UTF-8, without a space at either end. Metadata
// does not influence how the execution runs, is not encrypted, and never changes:
// enqueueing the same [ID] again keeps the first metadata.
//
// As an option, it adds to the metadata of earlier options; for the same key the last value
// wins. It applies to this execution only: children and the finalize have the metadata of
// their own definition or spawn. [Client.Retry] keeps it.
type Metadata map[string]string

func (m Metadata) set(o *options) {
	merged := maps.Clone(o.metadata)
	if merged == nil && len(m) > 0 {
		merged = Metadata{}
	}
	maps.Copy(merged, m)
	o.metadata = merged
}

// Validate returns an error that says what is wrong with m, or nil.
func (m Metadata) Validate() error {
	switch {
	case len(m) == 0: // the common case; sorting an empty map would allocate
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

// ValidateMetadata returns an error that says what is wrong with one pair of a [Metadata], or nil.
func ValidateMetadata(key, value string) error {
	if err := validateName("metadata key", key, maxMetadataKey); err != nil {
		return err
	}
	switch {
	case value == "":
		return fmt.Errorf("metadata %s: the value is empty", key)
	case len(value) > maxMetadataValue:
		return fmt.Errorf("metadata %s: the value has %d bytes, at most %d", key, len(value), maxMetadataValue)
	case !utf8.ValidString(value):
		return fmt.Errorf("metadata %s: the value is not valid UTF-8", key)
	case strings.ContainsFunc(value, func(r rune) bool { return !unicode.IsPrint(r) }):
		return fmt.Errorf("metadata %s: value %q has what can't be printed", key, value)
	case strings.TrimSpace(value) != value:
		return fmt.Errorf("metadata %s: value %q begins or ends with a space", key, value)
	}
	return nil
}
