package codec

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// A fault is what is wrong somewhere within a value: "field items[2].qty: ...".
type fault struct {
	steps []string // to where it is, the last one first
	err   error
}

const (
	longKey  = 80  // how much is shown of a key
	longPath = 400 // and of a path
)

func (f *fault) Error() string {
	var b strings.Builder
	for i := len(f.steps) - 1; i >= 0; i-- {
		if b.Len() > longPath {
			b.WriteString("...")
			break
		}
		b.WriteString(f.steps[i])
	}
	return fmt.Sprintf("field %s: %s", strings.TrimPrefix(b.String(), "."), f.err)
}

func (f *fault) Unwrap() error { return f.err }

func step(step string, err error) error {
	if err == nil {
		return nil
	}
	f := (*fault)(nil)
	if !errors.As(err, &f) {
		f = &fault{err: err}
	}
	f.steps = append(f.steps, step)
	return f
}

// inKey says that err, if it is one, was below a key.
func inKey(key string, err error) error {
	if err == nil {
		return nil
	}
	if key == "" || len(key) > longKey || strings.ContainsAny(key, ".[]\" \t\r\n") {
		return step(fmt.Sprintf("[%.*q]", longKey, key), err)
	}
	return step("."+key, err)
}

// inElement says that err, if it is one, was in the i-th element of a list.
func inElement(i int, err error) error { return step("["+strconv.Itoa(i)+"]", err) }

func twice(key string) error { return fmt.Errorf("the key %.*q is there twice", longKey, key) }
