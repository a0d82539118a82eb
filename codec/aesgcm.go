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

// AESGCM returns a wrapper that encrypts with AES-GCM, in the layer aes-gcm. It seals with the
// current key and opens payloads sealed with any of the keys. To rotate, add the new key to
// every process, then make it the current one, and remove the old key once no payload
// sealed with it is left.
//
// A key has 16, 24 or 32 random bytes; do not use a password. Its id, 1 to 64 characters of
// A-Z a-z 0-9 _ -, is stored with each payload. The nonce is random, so a key should seal at
// most 2^32 payloads. The encryption authenticates the payload's type with all its layers,
// but not the execution that the payload belongs to: a program that can write records can swap
// payloads.
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
			Reason: "the key with this id is a different one here, or the payload was altered"}
	}
	return Payload{Type: inner, Data: data}, nil
}
