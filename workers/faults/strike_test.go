//go:build unix

package faults

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/engine/history"
	"github.com/durable-execution/durable/jsstore"
)

// A strike is a fault that an executor inflicts on itself, in the middle of its work.
type strike struct {
	Phase string
	After bool // after the call; otherwise before it
	Nth   int  // the index of the call among those of the phase, from 0
	// Stop is how long the process is stopped; 0 kills it.
	Stop time.Duration
}

func (s strike) String() string {
	when, what := "before", "SIGKILL"
	if s.After {
		when = "after"
	}
	if s.Stop > 0 {
		what = fmt.Sprintf("SIGSTOP for %s", s.Stop)
	}
	return fmt.Sprintf("%s %s %s", what, when, s.Phase)
}

// The phases: kinds of calls of the store, named after what they do.
const (
	phaseRun      = "run"            // the code has begun
	phaseClaim    = "claim"          // a record says running
	phaseRetry    = "retry"          // a record is ready for another attempt
	phaseOutcome  = "outcome"        // the outcome of the code is recorded
	phaseSpawn    = "spawn"          // children are enqueued
	phaseFinalize = "spawn-finalize" // a finalize is enqueued
	phaseTell     = "tell"           // a closure is published
	phaseCount    = "count"          // a parent has counted children
	phaseClose    = "close"          // a parent has heard of its finalize
	phaseCancel   = "cancel"         // a record says cancelled
	phaseBelow    = "cancel-below"   // the executions below are being cancelled
	phaseDone     = "done"           // a message is acknowledged
)

var phases = []string{phaseRun, phaseClaim, phaseRetry, phaseOutcome, phaseSpawn, phaseFinalize, phaseTell, phaseCount, phaseClose, phaseCancel, phaseBelow, phaseDone}

// The strike of this process.
var (
	due   strike
	seen  atomic.Int64 // calls of its phase
	diary *history.Log
	deaf  bool // see program
)

// struck strikes if this is the right call. It counts a call of a phase when the call ends.
func struck(phase string, after bool) {
	if due.Phase == "" || phase != due.Phase || after != due.After || seen.Add(1) != int64(due.Nth)+1 {
		return
	}
	// First flush everything that the process has sent: otherwise an early ack would die with the
	// process in a buffer, unnoticed.
	time.Sleep(5 * time.Millisecond)
	e := history.Event{Kind: history.Struck, Place: history.Executor, Text: due.String()}
	if due.Stop == 0 {
		write(diary, e)
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {}
	}
	// A stopped process can't continue itself.
	wake := exec.Command("sh", "-c", fmt.Sprintf("sleep %.3f; kill -CONT %d", due.Stop.Seconds(), os.Getpid()))
	if err := wake.Start(); err != nil {
		panic(err)
	}
	e.Kind = history.FaultBegan
	write(diary, e)
	_ = syscall.Kill(os.Getpid(), syscall.SIGSTOP)
	_ = wake.Wait() // it has continued this process, so it ends soon
	e.Kind = history.FaultEnded
	write(diary, e)
}

// A striker is the store of a process that may strike itself. It has every optional interface of the
// wrapped store, because executors ask for them.
type striker struct{ *jsstore.Store }

func (s striker) Update(ctx context.Context, x engine.Execution, at engine.Revision) (engine.Revision, error) {
	phase := phaseOf(x)
	struck(phase, false)
	r, err := s.Store.Update(ctx, x, at)
	if err == nil {
		struck(phase, true)
	}
	return r, err
}

func phaseOf(x engine.Execution) string {
	switch {
	case x.Status == engine.Running:
		return phaseClaim
	case x.Status == engine.Ready:
		return phaseRetry
	case x.Status == engine.Cancelled:
		return phaseCancel
	case x.Ended.Len() > 0 && (x.Status == engine.Completed || x.Status == engine.FinalizeFailed) && x.Finalize != nil:
		return phaseClose
	case x.Ended.Len() > 0:
		return phaseCount
	}
	return phaseOutcome
}

func (s striker) Carry(ctx context.Context, fx ...engine.Effect) error {
	for _, f := range fx {
		phase := ""
		switch f.(type) {
		case engine.SpawnChildren:
			phase = phaseSpawn
		case engine.SpawnFinalize:
			phase = phaseFinalize
		case engine.TellParent:
			phase = phaseTell
		case engine.CancelBelow:
			phase = phaseBelow
		}
		struck(phase, false)
		if err := s.Store.Carry(ctx, f); err != nil {
			return err
		}
		struck(phase, true)
	}
	return nil
}

func (s striker) Claim(ctx context.Context, queue string) (engine.Feed[*engine.Delivery], error) {
	feed, err := s.Store.Claim(ctx, queue)
	if err != nil {
		return nil, err
	}
	f := &strikingFeed{Feed: feed, out: make(chan *engine.Delivery)}
	go f.pass()
	return f, nil
}

// A strikingFeed passes on deliveries with batons that may strike.
type strikingFeed struct {
	engine.Feed[*engine.Delivery]
	out chan *engine.Delivery
}

func (f *strikingFeed) pass() {
	defer close(f.out)
	for d := range f.Feed.Messages() {
		d.Baton = strikingBaton{d.Baton}
		f.out <- d
	}
}

func (f *strikingFeed) Messages() <-chan *engine.Delivery { return f.out }

type strikingBaton struct{ engine.Baton }

func (b strikingBaton) Done(ctx context.Context) error {
	struck(phaseDone, false)
	if deaf {
		return nil
	}
	err := b.Baton.Done(ctx)
	struck(phaseDone, true)
	return err
}
