package index

// TakeIn limits a transaction of x to so many messages.
func (x *Index) TakeIn(messages int) { x.limits.batch = messages }

// Narrow makes x search a few executions in the way that it searches a million.
func (x *Index) Narrow(to, merged int) {
	l := &x.limits
	l.narrowed, l.matched, l.clustered, l.terms = to, to, to, merged
}
