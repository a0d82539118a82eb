package codec

import (
	"fmt"
	"strings"
)

// layers comes before the list of layers in the type of a wrapped payload:
// application/msgpack; enc=gzip+aes-gcm.k1. The last one is the outermost.
const layers = "; enc="

// Blob is the layer of a payload that a store keeps elsewhere, always the outermost:
// it holds a reference, which the store resolves. No wrapper has this name.
const Blob = "blob"

// maxLayers is how many layers a payload may have. Each may be as much smaller
// than what it holds as its wrapper allows.
const maxLayers = 8

// Wrap returns the type of a payload of type t in one layer more: the name of a
// wrapper, with a dot and an argument behind it if it has one.
func (t Type) Wrap(layer string) Type {
	if t == "" {
		t = JSON
	}
	if t.Wrapped() {
		return t + "+" + Type(layer)
	}
	return t + layers + Type(layer)
}

// Unwrap returns the type inside the outermost layer, and that layer; t itself
// and an empty layer if it has none.
func (t Type) Unwrap() (inner Type, layer string) {
	plain, list, wrapped := strings.Cut(string(t), layers)
	if !wrapped {
		return t, ""
	}
	i := strings.LastIndexByte(list, '+')
	if i < 0 {
		return Type(plain), list
	}
	return Type(plain + layers + list[:i]), list[i+1:]
}

// Wrapped reports whether t has a layer.
func (t Type) Wrapped() bool { return strings.Contains(string(t), layers) }

// Layers returns the names of t's layers, the innermost first, without their
// arguments. [Blob] is not among them: it says where the payload is, and not how
// it is written.
func (t Type) Layers() []string {
	_, list, wrapped := strings.Cut(string(t), layers)
	if !wrapped {
		return nil
	}
	names := strings.Split(list, "+")
	for i, layer := range names {
		names[i], _, _ = strings.Cut(layer, ".")
	}
	if last := len(names) - 1; names[last] == Blob {
		names = names[:last]
	}
	return names
}

// validateName returns what is wrong with a name in a list of layers, or nil.
func validateName(what, name string) error {
	if len(name) < 1 || len(name) > 64 {
		return fmt.Errorf("%s %.80q: %d characters, want 1 to 64", what, name, len(name))
	}
	for _, r := range name {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '_', r == '-':
		default:
			return fmt.Errorf("%s %q: %q is not one of A-Z a-z 0-9 _ -", what, name, r)
		}
	}
	return nil
}
