package codec

import (
	"cmp"
	"reflect"
	"slices"
	"strings"
	"unicode"
)

// A structField is a field of a struct as encoding/json sees it. The fields of an embedded
// struct count as fields of the outer struct. Of several fields with the same name, one or
// none counts: see dominant.
type structField struct {
	name      string
	typ       reflect.Type
	plan      *plan
	index     []int
	omitEmpty bool
	omitZero  bool
	quoted    bool // the tag has the option string
	tagged    bool
	// behindPointer says that the field is in an embedded pointer: it is left out if the
	// pointer is nil.
	behindPointer bool
	about         string // the tag jsonschema, a description
}

// fieldsOfStruct returns the fields in the order in which they are declared.
func fieldsOfStruct(t reflect.Type) []structField {
	type level struct {
		typ    reflect.Type
		index  []int
		behind bool
	}
	var found []structField
	next, visited := []level{{typ: t}}, map[reflect.Type]bool{}
	for len(next) > 0 {
		here := next
		next = nil
		times := map[reflect.Type]int{}
		for _, l := range here {
			times[l.typ]++
		}
		for _, l := range here {
			if visited[l.typ] {
				continue
			}
			visited[l.typ] = true
			for i := range l.typ.NumField() {
				sf := l.typ.Field(i)
				f, embedded, ok := fieldOf(sf)
				if !ok {
					continue
				}
				f.index = append(slices.Clone(l.index), i)
				f.behindPointer = l.behind
				if embedded {
					in, behind := sf.Type, l.behind
					if in.Kind() == reflect.Pointer {
						in, behind = in.Elem(), true
					}
					next = append(next, level{in, f.index, behind})
					continue
				}
				found = append(found, f)
				if times[l.typ] > 1 { // dominant drops a field that is there twice on a level
					found = append(found, f)
				}
			}
		}
	}
	return dominant(found)
}

// fieldOf returns the field as its tag describes it. If embedded is true, the fields in it
// count instead of the field. If ok is false, encoding/json ignores the field.
func fieldOf(sf reflect.StructField) (f structField, embedded, ok bool) {
	inner := sf.Type
	if inner.Name() == "" && inner.Kind() == reflect.Pointer {
		inner = inner.Elem()
	}
	if sf.Anonymous && !sf.IsExported() && inner.Kind() != reflect.Struct || !sf.Anonymous && !sf.IsExported() {
		return f, false, false
	}
	tag := sf.Tag.Get("json")
	if tag == "-" {
		return f, false, false
	}
	name, options, _ := strings.Cut(tag, ",")
	if !isValidName(name) {
		name = ""
	}
	f = structField{name: name, typ: sf.Type, tagged: name != "", about: sf.Tag.Get("jsonschema")}
	for option := range strings.SplitSeq(options, ",") {
		f.omitEmpty = f.omitEmpty || option == "omitempty"
		f.omitZero = f.omitZero || option == "omitzero"
		f.quoted = f.quoted || option == "string"
	}
	switch k := inner.Kind(); {
	case k == reflect.Bool, k == reflect.String, k >= reflect.Int && k <= reflect.Float64:
	default:
		f.quoted = false
	}
	if name == "" && sf.Anonymous && inner.Kind() == reflect.Struct {
		return f, true, true
	}
	if name == "" {
		f.name = sf.Name
	}
	return f, false, true
}

// isValidName reports whether encoding/json accepts a name in a tag. It ignores others.
func isValidName(name string) bool {
	for _, c := range name {
		if !strings.ContainsRune("!#$%&()*+-./:;<=>?@[]^_{|}~ ", c) && !unicode.IsLetter(c) && !unicode.IsDigit(c) {
			return false
		}
	}
	return name != ""
}

// dominant returns the one field that counts for each name: the field of the outermost struct
// or, of several there, the field with a name in its tag. If that leaves several, none counts.
func dominant(found []structField) (kept []structField) {
	slices.SortStableFunc(found, func(a, b structField) int {
		tagged := func(f structField) int {
			if f.tagged {
				return 0
			}
			return 1
		}
		return cmp.Or(cmp.Compare(a.name, b.name), cmp.Compare(len(a.index), len(b.index)),
			cmp.Compare(tagged(a), tagged(b)), slices.Compare(a.index, b.index))
	})
	for len(found) > 0 {
		n := 1
		for n < len(found) && found[n].name == found[0].name {
			n++
		}
		if n == 1 || len(found[0].index) != len(found[1].index) || found[0].tagged != found[1].tagged {
			kept = append(kept, found[0])
		}
		found = found[n:]
	}
	slices.SortFunc(kept, func(a, b structField) int { return slices.Compare(a.index, b.index) })
	return kept
}

// of returns the field's value in the struct v. If ok is false, the field is in an embedded
// pointer that is nil.
func (f *structField) of(v reflect.Value) (_ reflect.Value, ok bool) {
	if len(f.index) == 1 {
		return v.Field(f.index[0]), true
	}
	for i, at := range f.index {
		if i > 0 && v.Kind() == reflect.Pointer {
			if v.IsNil() {
				return v, false
			}
			v = v.Elem()
		}
		v = v.Field(at)
	}
	return v, true
}

// isEmpty reports whether omitempty leaves the value out.
func isEmpty(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Array, reflect.Map, reflect.Slice, reflect.String:
		return v.Len() == 0
	case reflect.Struct:
		return false
	}
	return v.IsZero()
}
