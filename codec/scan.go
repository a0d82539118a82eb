package codec

import (
	"encoding/json"
	"errors"
	"fmt"
	"unicode/utf8"
)

// scan refuses JSON, known to be valid, that has more than one meaning: an object with a
// key twice or, read into p, one that differs from a field's in upper and lower case only.
// encoding/json would take either, and with a schema it would be one value that is judged
// and another that is used. It refuses what nests deeper than most, too. A p that is nil
// says nothing.
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

// next returns the next byte that is no space, and stays there.
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

// target returns the plan of what p points to; nil if encoding/json does not look there.
func (p *plan) target() *plan {
	for p != nil && p.shape == pointer {
		p = p.elem
	}
	if p != nil && (p.shape == record || p.shape == table || p.shape == list || p.shape == array) {
		return p
	}
	return nil
}

// parts scans the parts of an object or a list, each by one.
func (s *scanner) parts(end byte, p *plan, one func(*plan) error) error {
	if s.depth++; s.depth > s.most {
		return fmt.Errorf("more than %d arrays and maps within each other", s.most)
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

// element scans an element of a list.
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

// fewKeys is how many keys are compared one by one.
const fewKeys = 8

// member scans a member of an object.
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

// below returns the plan of what lies under a key of an object that is read into p.
func (p *plan) below(key string) (*plan, error) {
	switch {
	case p == nil:
		return nil, nil
	case p.shape != record:
		return p.elem, nil
	}
	if name := p.almost(key); name != "" {
		return nil, fmt.Errorf("the key %.*q: the field is called %q, in upper and lower case", longKey, key, name)
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
