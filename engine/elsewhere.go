package engine

import "github.com/durable-execution/durable/codec"

// InputRefused reports whether err is what a binding's Run returns for an input that it
// refused before the code ran.
func InputRefused(err error) bool {
	r, ok := err.(*refusal) //nolint:errorlint // code that wraps one has run
	return ok && r.before
}

// ReadElsewhere reports whether an input that is not one of this task's type is one of
// another type that the task has in another program, by its JSON Schema: bound are the
// task as other executors have it. An input that this task's own schema accepts is never
// left to others, so that two programs can't pass it to each other for ever.
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
