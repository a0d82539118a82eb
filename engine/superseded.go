package engine

// Later reports whether a delivery, whose id r has been found under, is that of a message
// which came after another that has the id. The first decides task, queue and input, and
// nothing of r is to change by this one, which leads nowhere.
//
// A message with the same task, queue and input may be a copy of the first: a store may
// have the one and be about to lose the other. It counts as the first.
func (d *Delivery) Later(r Record) bool {
	x := &d.Execution
	if r.Task != x.Task {
		return true
	}
	if r.Message == d.Message && r.Revision > 0 || r.Queued == d.Message && r.Revision == 0 {
		return false
	}
	if r.Revision > 0 {
		return r.Queue != x.Queue
	}
	return r.Queue != x.Queue || !d.Hint && !r.Input.Equal(x.Input)
}
