//go:build race

package embedded

import "time"

// leastSyncInterval keeps the race detector quiet about nats-server 2.15.2, whose
// file store sets its sync timer once without the lock (filestore.go:656): with
// 10 ms the timer may fire before that has returned.
const leastSyncInterval = time.Minute
