//go:build !race

package embedded

import "time"

const leastSyncInterval time.Duration = 0
