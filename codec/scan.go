package codec

import (
	"encoding/json"
	"errors"
	"fmt"
	"unicode/utf8"
)

// scan refuses valid JSON that has more than one meaning: an object in which a key occurs
// twice, or has a key that differs from a field of p only in case. encoding/json accepts both,
// and a schema might then check one value while the task uses the other. It also refuses JSON
// that nests deeper than most. If p is nil, scan does not compare keys with fields.
func scan(data []byte, p *plan, most int) error {
	s := scanner{data: data, most: most}
	return s.value(p)
}

type scanner struct {
	data  []byte
	at    int
	depth int
	most  int
}

// next skips spaces and returns the next byte, without passing it.
func (s *scanner) next() byte {
	for s.at < len(s.data) {
		switch c := s.data[s.at]; c {
		case ' ', '\t', '\r', '\n':
			s.at++
		default:
			return c
		}
	}
	return 0
}

func (s *scanner) value(p *plan) error {
	switch s.next() {
	case '{':
		return s.parts('}', p.target(), s.member())
	case '[':
		return s.parts(']', p.target(), s.element())
	case '"':
		s.text()
	default: // a number, or a word
		for s.at < len(s.data) {
			switch s.data[s.at] {
			case ',', ']', '}', ' ', '\t', '\r', '\n':
				return nil
			}
			s.at++
		}
	}
	return nil
}

// target follows pointers and returns the plan at their end. It returns nil for a type whose
// parts encoding/json does not read by itself.
func (p *plan) target() *plan {
	for p != nil && p.shape == pointer {
		p = p.elem
	}
	if p != nil && (p.shape == record || p.shape == table || p.shape == list || p.shape == array) {
		return p
	}
	return nil
}

// parts scans an object or a list. It calls one for each part.
func (s *scanner) parts(end byte, p *plan, one func(*plan) error) error {
	if s.depth++; s.depth > s.most {
		return fmt.Errorf("arrays and maps nest more than %d levels deep", s.most)
	}
	s.at++
	for s.next() != end {
		if err := one(p); err != nil {
			return err
		}
		if s.next() == ',' {
			s.at++
		}
		if s.at >= len(s.data) {
			return errors.New("unexpected end of JSON input")
		}
	}
	s.at++
	s.depth--
	return nil
}

// element returns a function that scans the elements of a list, one for each call.
func (s *scanner) element() func(*plan) error {
	i := -1
	return func(p *plan) error {
		i++
		if p != nil {
			p = p.elem
		}
		return inElement(i, s.value(p))
	}
}

// fewKeys is how many keys of an object member compares one by one. It puts further ones in a
// map.
const fewKeys = 8

// member returns a function that scans the members of an object, one for each call.
func (s *scanner) member() func(*plan) error {
	var few [fewKeys]string
	keys, many := few[:0], map[string]bool(nil)
	return func(p *plan) error {
		key := s.key()
		for _, k := range keys {
			if k == key {
				return twice(key)
			}
		}
		switch {
		case many[key]:
			return twice(key)
		case len(keys) < fewKeys:
			keys = append(keys, key)
		case many == nil:
			many = map[string]bool{key: true}
		default:
			many[key] = true
		}
		below, err := p.below(key)
		if err != nil {
			return err
		}
		return inKey(key, s.value(below))
	}
}

// below returns the plan of the value of a key in an object that is read into p. It returns nil
// if there is none.
func (p *plan) below(key string) (*plan, error) {
	switch {
	case p == nil:
		return nil, nil
	case p.shape != record:
		return p.elem, nil
	}
	if name := p.almost(key); name != "" {
		return nil, fmt.Errorf("the key %.*q differs from the field %q only in upper and lower case", longKey, key, name)
	}
	i, known := p.names[key]
	if !known || p.fields[i].quoted {
		return nil, nil
	}
	return p.fields[i].plan, nil
}

// key passes over the key of a member and the colon, and returns the key.
func (s *scanner) key() string {
	s.next()
	key := s.text()
	s.next()
	s.at++
	return key
}

// text passes over a text and returns it.
func (s *scanner) text() string {
	first := s.at
	plain := true
	for s.at++; s.at < len(s.data) && s.data[s.at] != '"'; s.at++ {
		if s.data[s.at] == '\\' {
			plain = false
			s.at++
		}
	}
	s.at = min(s.at+1, len(s.data))
	raw := s.data[first:s.at]
	if plain && len(raw) > 1 && utf8.Valid(raw) {
		return string(raw[1 : len(raw)-1])
	}
	var text string
	if json.Unmarshal(raw, &text) != nil {
		return string(raw)
	}
	return text
}
