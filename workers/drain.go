package workers

import (
	"sync"
	"time"

	"github.com/durable-execution/durable/engine"
)

// flushTime is how long a store that does not answer may hold up the end of a
// shutdown. What is not flushed by then is done by whoever gets the messages.
const flushTime = 10 * time.Second

// drain stops the claiming, lets running attempts finish for the drain time and
// hands back the others.
func (x *Executor) drain(queues []engine.Feed[*engine.Delivery]) {
	x.leaving.Store(true) // before code can be refused, which is handed back for it
	x.client.Close()      // before stopping: code that sees Stopping must be refused
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

// flush waits until everything is put down, or for flushTime, and stops the loops.
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
