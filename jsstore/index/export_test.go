package index

// TakeIn has transactions take in so many messages at most.
func TakeIn(messages int) { batch = messages }

// Narrow has searches of a few executions go as those of a million would, until the
// returned function is called.
func Narrow(to, merged int) (restore func()) {
	was := []int{narrowed, matched, clustered, terms}
	narrowed, matched, clustered, terms = to, to, to, merged
	return func() { narrowed, matched, clustered, terms = was[0], was[1], was[2], was[3] }
}
