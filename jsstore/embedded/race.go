//go:build race

package embedded

import "time"

// leastSyncInterval avoids reports of the race detector about nats-server 2.15.2: its file
// store sets its sync timer once without the lock (filestore.go:656), and with 10 ms the timer
// may fire before that call has returned.
const leastSyncInterval = time.Minute
