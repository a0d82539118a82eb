package workers

import (
	"sync"
	"time"

	"github.com/durable-execution/durable/engine"
)

// flushTime is how long a store that does not answer may delay the end of a shutdown. After that
// the executor leaves unfinished work to other executors, which get its messages after the
// lease.
const flushTime = 10 * time.Second

// drain stops claiming, gives running attempts the drain time to finish, and hands back the
// others.
func (x *Executor) drain(queues []engine.Feed[*engine.Delivery]) {
	x.leaving.Store(true) // before Close: an attempt that Close makes fail must be handed back
	x.client.Close()      // before stopping: code that sees Stopping must not be able to enqueue
	close(x.stopping)
	for _, q := range queues {
		q.Close()
	}
	idle := x.attempts.whenIdle()
	running := len(x.attempts.all())
	x.log.Info("executor stops", "running", running, "drain", max(x.config.Drain, 0))
	select {
	case <-idle:
		return
	default:
	}
	timer := time.NewTimer(max(x.config.Drain, 0))
	defer timer.Stop()
	select {
	case <-idle:
		return
	case <-timer.C:
	}
	if n := x.attempts.handBackAll(); n > 0 {
		x.log.Warn("drain time is over: running attempts are handed back", "attempts", n)
	}
}

// flush waits until all deliveries are handled, but at most for flushTime, and stops the loops.
func (x *Executor) flush(loops *sync.WaitGroup, stopLease chan<- struct{}) {
	limit := time.AfterFunc(flushTime, x.end)
	defer limit.Stop()
	select {
	case <-x.attempts.whenIdle():
	case <-x.kill.Done():
	}
	close(stopLease)
	loops.Wait()
}
