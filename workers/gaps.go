package workers

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/durable-execution/durable/engine"
)

// gapsEvery is how often an executor looks for what nobody can run: a little less often
// than it may tell of it.
const gapsEvery = seldomEvery + time.Minute

// gaps notices tasks that nobody binds, and queues that nobody serves: what is enqueued
// there waits, without any error.
type gaps struct {
	mu      sync.Mutex
	spawned map[string]string // from a task that is not bound here to one that has spawned it
	met     chan struct{}     // has something when there is a new one
}

// lookForGaps is the loop that says at the start, when a task is spawned for the first time
// that is not bound here, and once an hour, what nobody can run.
func (x *Executor) lookForGaps() {
	ctx, cancel := context.WithCancel(x.kill)
	defer cancel()
	go func() {
		select {
		case <-x.stopping:
			cancel() // a roll call holds up no shutdown
		case <-ctx.Done():
		}
	}()
	tick := time.NewTicker(gapsEvery)
	defer tick.Stop()
	for {
		x.askFleet(ctx)
		if len(x.findGaps()) > 0 && pause(ctx, fleetFresh) { // others may be starting, too
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

// pause waits, and reports whether ctx has not ended then.
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

// findGaps returns what is missing, by the latest roll call.
func (x *Executor) findGaps() []engine.Gap {
	others, known := x.fleet.others()
	if !known {
		return nil
	}
	x.gaps.mu.Lock()
	defer x.gaps.mu.Unlock()
	return engine.Gaps(x.bindings, x.config.Queues, x.gaps.spawned, others)
}

func (x *Executor) tellGaps() {
	if isClosed(x.stopping) {
		return
	}
	for _, g := range x.findGaps() {
		level := x.seldom.level(slog.LevelWarn, "gap", g.String())
		x.log.Log(context.Background(), level, "executions wait for an executor that is not there", "task", g.Task, "reason", g.String())
	}
}

// leads notes what an execution of a task has led to, if nobody here can run it.
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
			default: // it is about to look
			}
		}
		g.mu.Unlock()
	}
}

// mostGaps bounds the memory of tasks that code makes up as it goes.
const mostGaps = 1000
