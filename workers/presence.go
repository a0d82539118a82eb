package workers

import (
	"context"
	"os"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/durable-execution/durable/engine"
)

// module is the path of this module in build information.
const module = "github.com/durable-execution/durable"

// attend makes the executor answer roll calls, from memory, until stop is called.
func (x *Executor) attend(ctx context.Context) (stop func(), err error) {
	constant := x.identity()
	missed := absences{keep: x.store.Limits().Lease}
	return x.store.Present(ctx, func(call engine.RollCall) *engine.Presence {
		p := constant
		missed.note(call.Missed, time.Now())
		p.Missed = missed.of(call.Missing, time.Now())
		if !call.Schemas {
			p.Tasks = engine.WithoutSchemas(p.Tasks)
		}
		stats := x.Stats()
		p.Now = now()
		p.Running, p.InHand, p.Held, p.Strays = stats.Running, stats.InHand, stats.Held, stats.Strays
		p.Failures, p.Failing = stats.Failures, x.trouble.failing()
		x.keys.report(&p, time.Now())
		p.Stopping = isClosed(x.stopping)
		return &p
	})
}

// identity returns the fields of an answer that do not change while the executor runs.
func (x *Executor) identity() engine.Presence {
	p := engine.Presence{
		Executor: x.config.Name, PID: os.Getpid(), RecordVersion: engine.Version, StartedAt: now(),
		Lease: x.store.Limits().Lease, Queues: x.config.Queues, Slots: x.config.Slots,
	}
	p.Host, _ = os.Hostname() // if this fails, the executor's name must suffice
	p.Program, p.Version = versions()
	for _, b := range x.bindings {
		p.Tasks = append(p.Tasks, b.Bound())
	}
	slices.SortFunc(p.Tasks, func(a, b engine.BoundTask) int { return strings.Compare(a.ID, b.ID) })
	return p
}

// versions returns path and version of the program's main module, and the version of this
// module.
func versions() (program, version string) {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "", ""
	}
	program = strings.TrimSpace(info.Main.Path + " " + info.Main.Version)
	for _, m := range append([]*debug.Module{&info.Main}, info.Deps...) {
		if m.Path == module {
			return program, m.Version
		}
	}
	return program, ""
}

// failing returns the kinds of background work that fail now, and since when.
func (t *trouble) failing() map[string]time.Time {
	t.mu.Lock()
	defer t.mu.Unlock()
	list := map[string]time.Time{}
	for what, f := range t.now {
		list[what] = f.since
	}
	return list
}
