package engine

// Later reports whether the delivered message is superseded: an earlier message with the same
// id led to the record r. The earlier message decides task, queue and input. The later
// message must change nothing in r, and leads nowhere.
//
// A message with the same task, queue and input may be a copy of the first one, which the
// store may be about to lose. So it counts as the first.
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
