package codec

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// A fault is an error with its position in a value: "field items[2].qty: ...".
type fault struct {
	steps []string // the path to the position, the innermost step first
	err   error
}

const (
	longKey  = 80  // bytes of a key that an error shows
	longPath = 400 // bytes of a path that an error shows
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

// step adds a step to the beginning of err's path. It returns nil for nil.
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

// inKey adds to err that it is in the value of a key. It returns nil for nil.
func inKey(key string, err error) error {
	if err == nil {
		return nil
	}
	if key == "" || len(key) > longKey || strings.ContainsAny(key, ".[]\" \t\r\n") {
		return step(fmt.Sprintf("[%.*q]", longKey, key), err)
	}
	return step("."+key, err)
}

// inElement adds to err that it is in element i of a list. It returns nil for nil.
func inElement(i int, err error) error { return step("["+strconv.Itoa(i)+"]", err) }

func twice(key string) error { return fmt.Errorf("the key %.*q occurs twice", longKey, key) }
