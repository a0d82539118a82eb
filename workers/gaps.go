package workers

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/durable-execution/durable/engine"
)

// gapsEvery is how often an executor looks for gaps: a little less often than it may log one.
const gapsEvery = seldomEvery + time.Minute

// gaps finds tasks that no executor binds, and queues that no executor serves: executions that
// are enqueued there wait, without any error.
type gaps struct {
	mu      sync.Mutex
	spawned map[string]string // by task that is not bound here: a task that has spawned it
	met     chan struct{}     // receives when spawned has a new task
}

// lookForGaps is the loop that logs the gaps: at the start, when an attempt first spawns a task
// that is not bound here, and once an hour.
func (x *Executor) lookForGaps() {
	ctx, cancel := context.WithCancel(x.kill)
	defer cancel()
	go func() {
		select {
		case <-x.stopping:
			cancel() // a roll call must not delay the shutdown
		case <-ctx.Done():
		}
	}()
	tick := time.NewTicker(gapsEvery)
	defer tick.Stop()
	for {
		x.askFleet(ctx)
		if len(x.findGaps()) > 0 && pause(ctx, fleetFresh) { // other executors may be starting
			x.askFleet(ctx)
			x.tellGaps()
		}
		select {
		case <-tick.C:
		case <-x.gaps.met:
		case <-x.stopping:
			return
		}
	}
}

// pause waits for d. It returns false if ctx ends before that.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// findGaps returns the gaps according to the latest roll call.
func (x *Executor) findGaps() []engine.Gap {
	others, known := x.fleet.others()
	if !known {
		return nil
	}
	x.gaps.mu.Lock()
	defer x.gaps.mu.Unlock()
	return engine.Gaps(x.bindings, x.config.Queues, x.gaps.spawned, others)
}

// tellGaps logs each gap as a warning, once an hour at most.
func (x *Executor) tellGaps() {
	if isClosed(x.stopping) {
		return
	}
	for _, g := range x.findGaps() {
		level := x.seldom.level(slog.LevelWarn, "gap", g.String())
		x.log.Log(context.Background(), level, "executions may wait forever: no executor can run them", "task", g.Task, "reason", g.String())
	}
}

// leads notes that an execution of the task from has spawned executions of tasks that are not
// bound here.
func (g *gaps) leads(from string, to []engine.Spawn, bindings map[string]engine.Binding) {
	for i := range to {
		id := to[i].Task
		if _, bound := bindings[id]; bound {
			continue
		}
		g.mu.Lock()
		_, known := g.spawned[id]
		if !known && len(g.spawned) < mostGaps {
			if g.spawned == nil {
				g.spawned = map[string]string{}
			}
			g.spawned[id] = from
			select {
			case g.met <- struct{}{}:
			default: // the loop is about to look for gaps
			}
		}
		g.mu.Unlock()
	}
}

// mostGaps bounds how many tasks gaps remembers, because code may make up names of tasks.
const mostGaps = 1000
