package engine

import "github.com/durable-execution/durable/codec"

// InputRefused reports whether err is a binding's refusal of an input, before any code ran.
func InputRefused(err error) bool {
	r, ok := err.(*refusal) //nolint:errorlint // code that wraps one has run
	return ok && r.before
}

// ReadElsewhere reports whether another program has the task with a type that accepts an input
// which this program refuses. It compares JSON Schemas; bound are the tasks of other executors. If
// this program's own schema accepts the input, the answer is false, so that two programs can't
// pass an input to each other for ever.
func (d *Definition) ReadElsewhere(in Input, bound []BoundTask) bool {
	own := d.schema()
	if in.Joined != nil || own == nil || own.ValidatePayload(in.Payload) == nil {
		return false
	}
	print := d.Bound().Fingerprint
	for _, b := range bound {
		if b.ID != d.ID || b.Fingerprint == print || len(b.InputSchema) == 0 {
			continue
		}
		if s, err := codec.ParseSchema(string(b.InputSchema)); err == nil && s.ValidatePayload(in.Payload) == nil {
			return true
		}
	}
	return false
}
