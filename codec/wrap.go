package codec

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// A Wrapper puts payloads into a layer - compressed, encrypted - and takes them
// out again. The type of the payload says so: see [Type.Wrap]. It is safe for
// concurrent use.
type Wrapper interface {
	// Name is the layer's: 1 to 64 of A-Z a-z 0-9 _ -.
	Name() string
	// Seal returns p in a layer of that name, or p itself where there is nothing
	// to gain.
	Seal(p Payload) (Payload, error)
	// Open is the reverse of Seal. The outermost layer of p has the wrapper's
	// name. An error that wraps [ErrKey] says that p may be opened elsewhere.
	Open(p Payload) (Payload, error)
}

// ErrKey is returned for a payload in a layer that can't be opened, or made, with
// what is at hand: another process, or this one with another configuration, may.
var ErrKey = errors.New("no key for the payload")

// A KeyError says what is missing to open or to make a layer. It is an [ErrKey].
type KeyError struct {
	// Layer is the name of the layer.
	Layer string
	// Key is the id of the key; empty if it is the wrapper that is missing.
	Key string
	// Reason says what there is instead.
	Reason string
}

func (e *KeyError) Error() string {
	if e.Key == "" {
		return fmt.Sprintf("%s: layer %q: %s", ErrKey, e.Layer, e.Reason)
	}
	return fmt.Sprintf("%s: layer %q, key %q: %s", ErrKey, e.Layer, e.Key, e.Reason)
}

// Is makes errors.Is tell an ErrKey.
func (e *KeyError) Is(target error) bool { return target == ErrKey }

// Config says how a [Codec] writes and what it can read. The zero Config writes
// MessagePack without a layer and reads what is compressed.
type Config struct {
	// Type is the encoding of what is written: MsgPack or JSON. Empty means
	// MsgPack. Both are read.
	Type Type
	// Wrappers can read their layers, and are applied to what is written in this
	// order: the first makes the innermost layer, so that compression comes before
	// encryption. A [Gzip] is there without being listed, for what asks for it.
	Wrappers []Wrapper
	// Apply names the wrappers that are applied to what asks for none by name. Nil
	// means all of Wrappers; an empty list, that are read but not written, none.
	Apply []string
}

// A Codec writes and reads the payloads of a process. A nil Codec is one of the
// zero [Config]. It is safe for concurrent use.
type Codec struct {
	encoding Type
	wrappers []Wrapper // in the order of application
	apply    []string
}

var standard = &Codec{encoding: MsgPack, wrappers: []Wrapper{Gzip(0, 0)}, apply: []string{}}

// New returns the codec that c describes, or what is wrong with it.
func New(c Config) (*Codec, error) {
	k := &Codec{encoding: c.Type, apply: []string{}}
	if k.encoding == "" {
		k.encoding = MsgPack
	}
	if k.encoding != MsgPack && k.encoding != JSON {
		return nil, fmt.Errorf("new codec: type %q: neither %q nor %q", c.Type, MsgPack, JSON)
	}
	for _, w := range c.Wrappers {
		if w == nil {
			return nil, errors.New("new codec: a wrapper is nil")
		}
		if err := validateName("layer", w.Name()); err != nil {
			return nil, fmt.Errorf("new codec: %w", err)
		}
		if w.Name() == Blob {
			return nil, fmt.Errorf("new codec: layer %q is the store's", Blob)
		}
		if k.find(w.Name()) != nil {
			return nil, fmt.Errorf("new codec: layer %q has two wrappers", w.Name())
		}
		k.wrappers, k.apply = append(k.wrappers, w), append(k.apply, w.Name())
	}
	if k.find(nameGzip) == nil {
		k.wrappers = slices.Insert(k.wrappers, 0, standard.wrappers[0])
	}
	if c.Apply != nil {
		k.apply = append([]string{}, c.Apply...)
	}
	if err := k.Has(k.apply); err != nil {
		return nil, fmt.Errorf("new codec: apply: %w", err)
	}
	return k, nil
}

func (c *Codec) find(name string) Wrapper {
	for _, w := range c.wrappers {
		if w.Name() == name {
			return w
		}
	}
	return nil
}

func (c *Codec) names() string {
	var list []string
	for _, w := range c.wrappers {
		list = append(list, w.Name())
	}
	return strings.Join(list, ", ")
}

func (c *Codec) orStandard() *Codec {
	if c == nil {
		return standard
	}
	return c
}

// Type returns the encoding of what asks for none.
func (c *Codec) Type() Type { return c.orStandard().encoding }

// Layers returns the names of the layers of what asks for none.
func (c *Codec) Layers() []string { return slices.Clone(c.orStandard().apply) }

// Has returns nil if c has a wrapper for each of the layers, and a *[KeyError]
// that names the first that it lacks otherwise.
func (c *Codec) Has(layers []string) error {
	c = c.orStandard()
	for _, name := range layers {
		if c.find(name) == nil {
			return &KeyError{Layer: name, Reason: "the layers here are " + c.names()}
		}
	}
	return nil
}

// Seal returns p in the named layers, each once, in the order of the codec's
// wrappers, whatever that of the names. The zero Payload stays as it is.
func (c *Codec) Seal(p Payload, layers []string) (Payload, error) {
	c = c.orStandard()
	if err := c.Has(layers); err != nil {
		return Payload{}, err
	}
	if p.IsZero() {
		return p, nil
	}
	if p.Type.Wrapped() {
		return Payload{}, fmt.Errorf("seal %s: it is in layers already", p.Type)
	}
	for _, w := range c.wrappers {
		if !slices.Contains(layers, w.Name()) {
			continue
		}
		var err error
		if p, err = w.Seal(p); err != nil {
			return Payload{}, fmt.Errorf("layer %q: %w", w.Name(), err)
		}
	}
	return p, nil
}

// Open returns p without its layers, whichever they are. An error that wraps
// [ErrKey] says that p needs a wrapper or a key that c does not have; any other,
// that p is damaged or past a limit.
func (c *Codec) Open(p Payload) (Payload, error) {
	c = c.orStandard()
	for n := 0; p.Type.Wrapped(); n++ {
		if n == maxLayers {
			return Payload{}, fmt.Errorf("open %.200s: more than %d layers", p.Type, maxLayers)
		}
		inner, layer := p.Type.Unwrap()
		name, _, _ := strings.Cut(layer, ".")
		w := c.find(name)
		if w == nil {
			return Payload{}, &KeyError{Layer: name, Reason: "the layers here are " + c.names()}
		}
		opened, err := w.Open(p)
		if err != nil {
			return Payload{}, fmt.Errorf("open %s: %w", p.Type, err)
		}
		if opened.Type != inner {
			return Payload{}, fmt.Errorf("open %s: layer %q gave %s", p.Type, name, opened.Type)
		}
		p = opened
	}
	return p, nil
}
