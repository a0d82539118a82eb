package codec

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// A Wrapper adds a layer to payloads (compression, encryption) and removes it again. The
// type of the payload names the layer: see [Type.Wrap]. A Wrapper must be safe for concurrent
// use.
type Wrapper interface {
	// Name is the name of the layer: 1 to 64 characters of A-Z a-z 0-9 _ -.
	Name() string
	// Seal returns p in a layer of that name, or p itself if the layer would gain
	// nothing.
	Seal(p Payload) (Payload, error)
	// Open is the reverse of Seal. The outermost layer of p has the wrapper's name. An error
	// that wraps [ErrKey] says that another process may be able to open p.
	Open(p Payload) (Payload, error)
}

// ErrKey is returned for a payload in a layer that this process can't open or make, because
// it lacks a wrapper or a key. Another process, or another configuration, may have it.
var ErrKey = errors.New("no key for the payload")

// A KeyError says what is missing to open or make a layer. It matches [ErrKey].
type KeyError struct {
	// Layer is the name of the layer.
	Layer string
	// Key is the id of the missing key; empty if the wrapper is missing.
	Key string
	// Reason says which keys or wrappers there are instead.
	Reason string
}

func (e *KeyError) Error() string {
	if e.Key == "" {
		return fmt.Sprintf("%s: layer %q: %s", ErrKey, e.Layer, e.Reason)
	}
	return fmt.Sprintf("%s: layer %q, key %q: %s", ErrKey, e.Layer, e.Key, e.Reason)
}

// Is lets errors.Is recognise a KeyError as an ErrKey.
func (e *KeyError) Is(target error) bool { return target == ErrKey }

// Config says how a [Codec] writes and what it can read. The zero Config writes MessagePack
// without layers, and reads plain and compressed payloads.
type Config struct {
	// Type is the encoding of new payloads: MsgPack or JSON. Empty means MsgPack. The codec
	// reads both.
	Type Type
	// Wrappers lists the layers that the codec can read. It applies them to new payloads in
	// this order: the first makes the innermost layer, so compression must come before
	// encryption. The codec always has a [Gzip], for payloads that ask for it.
	Wrappers []Wrapper
	// Apply names the wrappers to apply to payloads that ask for no layers by name. Nil means
	// all of Wrappers. An empty list means none: the wrappers are used for reading only.
	Apply []string
}

// A Codec writes and reads the payloads of a process. A nil Codec is the codec of the zero
// [Config]. It is safe for concurrent use.
type Codec struct {
	encoding Type
	wrappers []Wrapper // in the order of application
	apply    []string
}

var standard = &Codec{encoding: MsgPack, wrappers: []Wrapper{Gzip(0, 0)}, apply: []string{}}

// New returns the codec that c describes, or an error that says what is wrong with c.
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
			return nil, fmt.Errorf("new codec: the name of layer %q is reserved for the store", Blob)
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

// Type returns the default encoding.
func (c *Codec) Type() Type { return c.orStandard().encoding }

// Layers returns the names of the default layers.
func (c *Codec) Layers() []string { return slices.Clone(c.orStandard().apply) }

// Has returns nil if c has a wrapper for each of the layers, and otherwise a *[KeyError] that
// names the first one that c lacks.
func (c *Codec) Has(layers []string) error {
	c = c.orStandard()
	for _, name := range layers {
		if c.find(name) == nil {
			return &KeyError{Layer: name, Reason: "the layers here are " + c.names()}
		}
	}
	return nil
}

// Seal returns p in the named layers, each once. It applies them in the order of the codec's
// wrappers, not of the names. It returns the zero Payload unchanged.
func (c *Codec) Seal(p Payload, layers []string) (Payload, error) {
	c = c.orStandard()
	if err := c.Has(layers); err != nil {
		return Payload{}, err
	}
	if p.IsZero() {
		return p, nil
	}
	if p.Type.Wrapped() {
		return Payload{}, fmt.Errorf("seal %s: the payload has layers already", p.Type)
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

// Open returns p without its layers. An error that wraps [ErrKey] says that p needs a wrapper
// or a key that c lacks; any other error says that p is damaged or beyond a limit.
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
			return Payload{}, fmt.Errorf("open %s: the wrapper of layer %q returned type %s", p.Type, name, opened.Type)
		}
		p = opened
	}
	return p, nil
}
