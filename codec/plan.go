package codec

import (
	"encoding"
	"encoding/json"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/vmihailenco/msgpack/v5"
)

// A shape says how encoding/json writes and reads a type.
type shape uint8

const (
	bad     shape = iota // encoding/json refuses it: channels, functions, complex numbers
	own                  // has a method that writes or reads its JSON
	boolean              // the scalars
	integer
	unsigned
	float
	text
	number // json.Number
	blob   // a list of bytes, base64 in JSON
	moment // time.Time
	payload
	free   // an interface without methods
	closed // an interface with methods
	pointer
	list
	array
	table
	record
)

// A plan describes how encoding/json writes and reads a type. There is one for each type.
type plan struct {
	shape  shape
	typ    reflect.Type
	elem   *plan // of a pointer, list, array or table
	key    *plan // of a table
	fields []structField
	names  map[string]int // of fields
	onlyBy bool           // own: its method to encode has a pointer receiver
	// shadows says that two fields of a struct, or of structs embedded in it, have the same
	// name for the MessagePack library: see oldNames.
	shadows bool
	// sorts says that a writer of this type writes the fields of all structs in the order of
	// their names: see holdsMap. For a struct, sorted has the indexes of fields in that order.
	sorts  bool
	sorted []int

	// plain says that MessagePack and encoding/json agree on each value of the type, and that
	// programs of earlier versions can read it in MessagePack: see plan.agrees.
	plain bool
	// These say that the type contains an interface, a Payload, a map, or a type that encodes
	// itself, at any depth.
	hasFree, hasPayload, hasTable, hasOwn bool
	// old says that programs of earlier versions could write the type in MessagePack without
	// loss. unsure says that such MessagePack may also have a meaning by the rules of
	// encoding/json: for a field with the option string, a text may contain a quoted text.
	old, unsure bool
}

// plans are made under one lock: while they are made, the plans of recursive types refer to
// unfinished plans.
var plans struct {
	sync.Mutex
	made sync.Map // reflect.Type -> *plan
}

func planOf(t reflect.Type) *plan {
	if p, ok := plans.made.Load(t); ok {
		return p.(*plan)
	}
	plans.Lock()
	defer plans.Unlock()
	fresh := map[reflect.Type]*plan{}
	p := build(t, fresh)
	for _, p := range fresh {
		p.survey()
	}
	// Publish only complete plans: a plan refers to others, and readers load it without the lock.
	for t, p := range fresh {
		plans.made.Store(t, p)
	}
	return p
}

func build(t reflect.Type, fresh map[reflect.Type]*plan) *plan {
	if p, ok := plans.made.Load(t); ok {
		return p.(*plan)
	}
	if p := fresh[t]; p != nil {
		return p
	}
	p := &plan{typ: t, shape: shapeOf(t), sorts: holdsMap(t, map[reflect.Type]bool{})}
	fresh[t] = p
	switch p.shape {
	case own:
		p.onlyBy = !encodesItself(t) && encodesItself(reflect.PointerTo(t))
	case pointer, list, array:
		p.elem = build(t.Elem(), fresh)
	case table:
		p.key, p.elem = build(t.Key(), fresh), build(t.Elem(), fresh)
	case record:
		p.fields = fieldsOfStruct(t)
		p.shadows = oldNames(t, map[string]bool{}, 0)
		p.names = make(map[string]int, len(p.fields))
		for i := range p.fields {
			f := &p.fields[i]
			f.plan = build(f.typ, fresh)
			p.names[f.name] = i
			p.sorted = append(p.sorted, i)
		}
		slices.SortFunc(p.sorted, func(i, j int) int { return strings.Compare(p.fields[i].name, p.fields[j].name) })
	}
	return p
}

var (
	typeTime    = reflect.TypeFor[time.Time]()
	typePayload = reflect.TypeFor[Payload]()
	typeNumber  = reflect.TypeFor[json.Number]()
)

// implements reports whether t, or a pointer to it, implements one of the interfaces.
func implements(t reflect.Type, list []reflect.Type) bool {
	for _, i := range list {
		if t.Implements(i) || t.Kind() != reflect.Interface && reflect.PointerTo(t).Implements(i) {
			return true
		}
	}
	return false
}

var (
	forJSON = []reflect.Type{
		reflect.TypeFor[json.Marshaler](), reflect.TypeFor[json.Unmarshaler](),
		reflect.TypeFor[encoding.TextMarshaler](), reflect.TypeFor[encoding.TextUnmarshaler](),
	}
	// forOld has the methods that programs of earlier versions used to write MessagePack.
	// forOldAlone has the methods among them that encoding/json ignores.
	forOldAlone = []reflect.Type{
		reflect.TypeFor[msgpack.CustomEncoder](), reflect.TypeFor[msgpack.CustomDecoder](),
		reflect.TypeFor[msgpack.Marshaler](), reflect.TypeFor[msgpack.Unmarshaler](),
		reflect.TypeFor[encoding.BinaryMarshaler](), reflect.TypeFor[encoding.BinaryUnmarshaler](),
	}
	forOld = append(forJSON[2:4:4], forOldAlone...)
)

func encodesItself(t reflect.Type) bool { return t.Implements(forJSON[0]) || t.Implements(forJSON[2]) }

func shapeOf(t reflect.Type) shape {
	switch {
	case t == typeTime:
		return moment
	case t == typePayload:
		return payload
	case t == typeNumber:
		return number
	case t.Kind() == reflect.Interface && t.NumMethod() == 0:
		return free
	case t.Kind() == reflect.Interface:
		return closed
	case t.Kind() != reflect.Pointer && implements(t, forJSON):
		return own
	}
	switch t.Kind() {
	case reflect.Bool:
		return boolean
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return integer
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
		return unsigned
	case reflect.Float32, reflect.Float64:
		return float
	case reflect.String:
		return text
	case reflect.Pointer:
		return pointer
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Uint8 && !implements(t.Elem(), forJSON) {
			return blob
		}
		return list
	case reflect.Array:
		return array
	case reflect.Map:
		return table
	case reflect.Struct:
		return record
	}
	return bad
}

// survey sets the fields of p that depend on the types in it. A type may contain itself.
func (p *plan) survey() {
	p.plain, p.old = true, true
	seen := map[*plan]bool{}
	var below func(q *plan, above map[*plan]bool)
	below = func(q *plan, above map[*plan]bool) {
		if above[q] {
			p.plain = false // recursive: there is no limit to how deep a value nests
			return
		}
		if seen[q] {
			return
		}
		seen[q], above[q] = true, true
		defer delete(above, q)
		p.plain = p.plain && q.agrees()
		p.old = p.old && !q.shadows && (q.shape != own || implements(q.typ, forOld))
		p.hasFree = p.hasFree || q.shape == free
		p.hasPayload = p.hasPayload || q.shape == payload
		p.hasTable = p.hasTable || q.shape == table
		p.hasOwn = p.hasOwn || q.shape == own || q.shape == closed
		for _, part := range []*plan{q.key, q.elem} {
			if part != nil {
				below(part, above)
			}
		}
		for i := range q.fields {
			f := &q.fields[i]
			p.hasOwn = p.hasOwn || f.behindPointer
			p.unsure = p.unsure || f.quoted
			below(f.plan, above)
		}
	}
	below(p, map[*plan]bool{})
}

// mostFields is how many fields a plain struct may have: reading.record has a bit for each.
const mostFields = 256

var plainName = regexp.MustCompile(`^[A-Za-z0-9_.-]+$`)

// agrees reports whether MessagePack and encoding/json agree on p, apart from the types in it.
func (p *plan) agrees() bool {
	if p.shape != payload && p.shape != moment && p.shape != free && implements(p.typ, forOldAlone) {
		return false
	}
	switch p.shape {
	case bad, own, closed, number:
		return false
	case unsigned:
		return p.typ.Kind() != reflect.Uintptr
	case array: // programs of earlier versions wrote an array of bytes as bytes, JSON has numbers
		return p.typ.Elem().Kind() != reflect.Uint8
	case table:
		return p.key.shape == text || p.key.shape == integer || p.key.shape == unsigned
	case record:
		for f := range p.typ.Fields() {
			if f.Anonymous || f.Name == "_msgpack" || f.Tag.Get("msgpack") != "" {
				return false
			}
		}
		for i := range p.fields {
			f := &p.fields[i]
			zeroes := f.omitZero && f.typ != typeTime && implements(f.typ, []reflect.Type{reflect.TypeFor[interface{ IsZero() bool }]()})
			if f.quoted || zeroes || !plainName.MatchString(f.name) {
				return false
			}
		}
		return len(p.fields) <= mostFields
	}
	return true
}

// almost returns the name of a field that differs from name in case only. It returns an empty
// string if there is none, or if a field has exactly this name.
func (p *plan) almost(name string) string {
	if _, exact := p.names[name]; exact {
		return ""
	}
	for i := range p.fields {
		if strings.EqualFold(p.fields[i].name, name) {
			return p.fields[i].name
		}
	}
	return ""
}
