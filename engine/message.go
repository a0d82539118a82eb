package engine

import "fmt"

// fields lists the fields of a closure: see codec/WIRE.md. Version 1 is left out: see
// [Version].
func (c *Closure) fields(f *fields) (version int) {
	f.int("v", &version)
	f.anyString("parentId", &c.Parent)
	f.anyString("executionId", &c.ID)
	f.anyString("taskId", &c.Task)
	f.int("index", &c.Index)
	f.bool("isFinalize", &c.IsFinalize)
	f.bool("isWake", &c.IsWake)
	f.bool("again", &c.Again)
	f.status(&c.Status)
	f.string("error", &c.Message)
	f.payload("output", "outputType", &c.Output)
	f.string("outputOf", &c.OutputOf)
	return version
}

// fields lists the fields of a cancellation.
func (c *Cancel) fields(f *fields) (version int) {
	f.int("v", &version)
	f.anyString("executionId", &c.ID)
	f.moment("at", &c.At)
	f.string("reason", &c.Reason)
	f.string("parentId", &c.Parent)
	f.moment("createdAt", &c.Born)
	return version
}

// EncodeClosure returns c as a message.
func EncodeClosure(c Closure) ([]byte, error) {
	c.Message = cut(c.Message, maxMessage)
	f := writing(nil, 128+len(c.Output.Data))
	c.fields(&f)
	return f.w.Bytes(), nil
}

// DecodeClosure is the reverse of [EncodeClosure]. The output shares the bytes of data, which
// must not change afterwards. It returns an error if data is not a closure or is a wake with
// an invalid output, and ErrNewer if only a later version may act on it.
func DecodeClosure(data []byte) (Closure, error) {
	var c Closure
	f := readingInOrder(data)
	version := c.fields(&f)
	var err error
	if !f.done() {
		c = Closure{}
		if f, err = readingLoosely(data); err == nil {
			version = c.fields(&f)
			err = f.err
		}
	}
	if err == nil {
		err = CheckVersion(version)
	}
	if err == nil && (c.Parent == "" || !c.Status.Finished()) {
		err = fmt.Errorf("parent %q, status %q", c.Parent, c.Status)
	}
	if err == nil && c.IsWake && !c.Output.Type.Wrapped() { // any client may have sent it
		err = c.Output.Check()
	}
	if err != nil {
		return Closure{}, fmt.Errorf("decode closure: %w", err)
	}
	return c, nil
}

// EncodeCancel returns c as a message.
func EncodeCancel(c Cancel) ([]byte, error) {
	c.Reason = bounded(c.Reason)
	f := writing(nil, 128+len(c.Reason))
	c.fields(&f)
	return f.w.Bytes(), nil
}

// DecodeCancel is the reverse of [EncodeCancel]. It returns an error if data is not a
// cancellation, and ErrNewer if only a later version may act on it.
func DecodeCancel(data []byte) (Cancel, error) {
	var c Cancel
	f, err := readingLoosely(data)
	version := 0
	if err == nil {
		version = c.fields(&f)
		err = f.err
	}
	if err == nil {
		err = CheckVersion(version)
	}
	if err == nil {
		err = ValidateID(c.ID)
	}
	if err != nil {
		return Cancel{}, fmt.Errorf("decode cancel: %w", err)
	}
	return c, nil
}

// CancelsBelow returns the cancellations for the executions below a finished parent.
func (x Execution) CancelsBelow() []Cancel {
	ids := x.Below()
	list := make([]Cancel, len(ids))
	for i, id := range ids {
		list[i] = Cancel{
			ID: id, At: x.FinishedAt, Parent: x.ID,
			Reason: fmt.Sprintf("parent %s: %s", x.ID, x.Status),
		}
	}
	return list
}

// Unborn returns the child or finalize of x with the given id, as it would be created. It is
// for a cancellation that arrives before the spawn. The list of x's children is spawns.
// It returns false if x has no such child to spawn.
func (x Execution) Unborn(id string, spawns []Spawn) (Execution, bool) {
	for _, c := range x.Children(spawns) {
		if c.ID == id {
			return c, true
		}
	}
	if x.Finalize != nil && finalizeID(x.ID) == id {
		return x.FinalizeExecution(), true
	}
	return Execution{}, false
}
