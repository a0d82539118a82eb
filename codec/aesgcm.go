package codec

import (
	"crypto/aes"
	"crypto/cipher"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

const nameAESGCM = "aes-gcm"

type sealer struct {
	current string
	keys    map[string]cipher.AEAD
}

// AESGCM returns a wrapper that encrypts with AES-GCM into the layer aes-gcm. It
// seals with the current key and opens what was sealed with any: to rotate, add a
// key everywhere, then make it the current one, and remove the old one when
// nothing is left that it has sealed.
//
// A key has 16, 24 or 32 bytes, from a source of randomness and not a password;
// its id, 1 to 64 of A-Z a-z 0-9 _ -, is stored with each payload. The nonce is
// random, so that a key should seal no more than 2^32 payloads. The type of the
// payload, all of its layers included, is authenticated with it; the execution
// that it belongs to is not: who can write records can exchange payloads.
func AESGCM(current string, keys map[string][]byte) (Wrapper, error) {
	s := sealer{current, map[string]cipher.AEAD{}}
	for id, key := range keys {
		if err := validateName("key id", id); err != nil {
			return nil, fmt.Errorf("AES-GCM: %w", err)
		}
		block, err := aes.NewCipher(key)
		if err == nil {
			s.keys[id], err = cipher.NewGCMWithRandomNonce(block)
		}
		if err != nil {
			return nil, fmt.Errorf("AES-GCM: key %q: %w", id, err)
		}
	}
	if s.keys[current] == nil {
		return nil, fmt.Errorf("AES-GCM: current key %q is not among the keys %s", current, s.ids())
	}
	return s, nil
}

func (s sealer) ids() string {
	return strings.Join(slices.Sorted(maps.Keys(s.keys)), ", ")
}

func (sealer) Name() string { return nameAESGCM }

func (s sealer) Seal(p Payload) (Payload, error) {
	t := p.Type.Wrap(nameAESGCM + "." + s.current)
	key := s.keys[s.current]
	room := make([]byte, 0, len(p.Data)+key.Overhead())
	return Payload{Type: t, Data: key.Seal(room, nil, p.Data, []byte(t))}, nil
}

func (s sealer) Open(p Payload) (Payload, error) {
	inner, layer := p.Type.Unwrap()
	_, id, _ := strings.Cut(layer, ".")
	key := s.keys[id]
	if key == nil {
		return Payload{}, &KeyError{Layer: nameAESGCM, Key: id, Reason: "the keys here are " + s.ids()}
	}
	if len(p.Data) < key.Overhead() {
		return Payload{}, errors.New("shorter than a nonce and a tag")
	}
	data, err := key.Open(nil, nil, p.Data, []byte(p.Type))
	if err != nil {
		return Payload{}, &KeyError{Layer: nameAESGCM, Key: id,
			Reason: "the key of that id here is another one, or the payload was altered"}
	}
	return Payload{Type: inner, Data: data}, nil
}
