package codec

import (
	"fmt"
	"strings"
)

// layers separates the encoding from the list of layers in the type of a wrapped payload:
// application/msgpack; enc=gzip+aes-gcm.k1. The last layer is the outermost.
const layers = "; enc="

// Blob is the layer of a payload that a store keeps elsewhere. It is always the outermost and
// contains a reference, which the store resolves. No wrapper may have this name.
const Blob = "blob"

// maxLayers is how many layers a payload may have. It limits repeated compression: each layer
// may expand to as much as its wrapper allows.
const maxLayers = 8

// Wrap returns t with one more layer: the name of a wrapper, followed by a dot and an argument
// if it has one.
func (t Type) Wrap(layer string) Type {
	if t == "" {
		t = JSON
	}
	if t.Wrapped() {
		return t + "+" + Type(layer)
	}
	return t + layers + Type(layer)
}

// Unwrap returns the type inside the outermost layer, and that layer. Without a layer it
// returns t and an empty layer.
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

// Layers returns the names of t's layers, the innermost first, without their arguments. It
// leaves out [Blob], which says where the payload is and not how it is written.
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

// Validate returns an error unless t is one of the two encodings, with up to 8 layers whose
// names and arguments are well formed. It does not check that wrappers for the layers
// exist: see [ErrKey].
func (t Type) Validate() error {
	plain, list, wrapped := strings.Cut(string(t), layers)
	if Type(plain) != JSON && Type(plain) != MsgPack {
		return fmt.Errorf("content type %.200q: neither %s nor %s", t, JSON, MsgPack)
	}
	if !wrapped {
		return nil
	}
	names := strings.Split(list, "+")
	if names[len(names)-1] == Blob {
		names = names[:len(names)-1]
	}
	if len(names) > maxLayers {
		return fmt.Errorf("content type %.200q: %d layers, at most %d", t, len(names), maxLayers)
	}
	for _, layer := range names {
		name, argument, has := strings.Cut(layer, ".")
		err := validateName("layer", name)
		if err == nil && has {
			err = validateName("argument of a layer", argument)
		}
		if err == nil && name == Blob {
			err = fmt.Errorf("layer %q is not the outermost", Blob)
		}
		if err != nil {
			return fmt.Errorf("content type %.200q: %w", t, err)
		}
	}
	return nil
}

// validateName returns an error if a name in a list of layers is not well formed.
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
