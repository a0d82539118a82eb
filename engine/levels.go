package engine

import "github.com/durable-execution/durable/codec"

// level is the state of the enclosing map while an inner map is written or read.
type level struct {
	w       codec.Outer
	r       int
	element bool // whether the inner map is an element of a list
	loose   *codec.FieldMap
}

// open begins a map as the value of a field. It does so if write is true (for the writer) or
// if the reader is at the field. The map's fields follow, and then close.
func (f *fields) open(name string, write bool) (outer level, ok bool) {
	switch {
	case f.writes && write:
		return level{w: f.w.Open(name)}, true
	case f.writes || !f.at(name):
		return level{}, false
	}
	return f.enter()
}

// optional is open for a map that p points to. The writer leaves it out if p is nil.
func optional[T any](f *fields, name string, p **T) (outer level, ok bool) {
	if outer, ok = f.open(name, *p != nil); ok && !f.writes {
		*p = new(T)
	}
	return outer, ok
}

// enter begins the map that a reader is at.
func (f *fields) enter() (outer level, ok bool) {
	if f.loose == nil {
		outer.r = f.r.Open()
		f.taken()
		return outer, true
	}
	m, err := codec.SplitMap(f.value)
	f.err = orFirst(f.err, err)
	if m == nil {
		return outer, false
	}
	outer.loose, f.loose = f.loose, m
	return outer, true
}

func (f *fields) close(outer level) {
	switch {
	case f.writes:
		f.w.Close(outer.w)
	case f.loose != nil:
		f.loose = outer.loose
	default:
		if f.more {
			f.r.Stop()
		}
		f.r.Close(outer.r)
		if !outer.element {
			f.taken()
		}
	}
}

// closeAny is close, but the writer leaves the map out if it is empty.
func (f *fields) closeAny(outer level) {
	if f.writes {
		f.w.CloseAny(outer.w)
		return
	}
	f.close(outer)
}

// A list is a list of maps that is written or read.
type list struct {
	there    bool     // the reader in order is at a list
	elements [][]byte // of the loose reader
}

// list begins a list as the value of a field, and returns the number of its elements, which
// the writer passes as n. Write or read each of them between element and close; end ends the list.
func (f *fields) list(name string, n int) (l list, length int) {
	switch {
	case f.writes:
		f.w.List(name, n)
		return l, n
	case !f.at(name):
		return l, 0
	case f.loose == nil:
		l.there = true
		return l, f.r.Len()
	}
	elements, err := codec.SplitList(f.value)
	f.err = orFirst(f.err, err)
	l.elements = elements
	return l, len(elements)
}

// element begins element i of a list.
func (l list) element(f *fields, i int) (outer level, ok bool) {
	switch {
	case f.writes:
		return level{w: f.w.Element()}, true
	case f.loose != nil:
		f.value = l.elements[i]
		return f.enter()
	}
	outer = level{r: f.r.Open(), element: true}
	f.taken()
	return outer, true
}

func (l list) end(f *fields) {
	if l.there {
		f.taken()
	}
}

// grow makes room for the n elements that a reader will read. For a writer s has n already.
func grow[T any](s *[]T, n int) {
	if len(*s) != n {
		*s = make([]T, n)
	}
}
