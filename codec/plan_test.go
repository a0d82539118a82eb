package codec

import (
	"fmt"
	"reflect"
	"sync"
	"testing"
)

// newType returns a type that has no plan yet: nested structs, with an interface in the
// innermost one.
func newType(n int) reflect.Type {
	t := reflect.TypeFor[any]()
	for range 40 {
		t = reflect.StructOf([]reflect.StructField{{Name: "A", Type: t, Tag: reflect.StructTag(fmt.Sprintf(`json:"a%d"`, n))}})
	}
	return t
}

func TestATypeThatIsNewToSeveralGoroutinesIsReadTheSameByAll(t *testing.T) {
	for n := range 200 {
		typ := newType(n)
		text := "7"
		for range 40 {
			text = fmt.Sprintf(`{"a%d":%s}`, n, text)
		}
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() {
				v := reflect.New(typ)
				if err := (Payload{JSON, []byte(text)}).Decode(v.Interface()); err != nil {
					t.Error(err)
					return
				}
				for v = v.Elem(); v.Kind() == reflect.Struct; {
					v = v.Field(0)
				}
				if got := v.Interface(); got != int64(7) {
					t.Errorf("type %d: the interface has %T %v, want int64 7", n, got, got)
				}
			})
		}
		all.Wait()
	}
}
