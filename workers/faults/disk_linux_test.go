package faults

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/engine/history"
	"github.com/durable-execution/durable/jsstore/jstest"
)

// TestFaultStreamsAtTheirByteLimit fills the bucket and the queue up to an operator's limit in bytes:
// the store refuses further work with an error that says why, and executors continue the accepted
// work once there is room.
func TestFaultStreamsAtTheirByteLimit(t *testing.T) {
	t.Parallel()
	f := newFleet(t, setup{})
	f.hire(program{Slots: 8})
	f.hire(program{Slots: 8})
	limit := func(bytes int64) {
		nc := f.servers.Connect()
		defer nc.Close()
		js, err := jetstream.New(nc)
		f.check(err)
		for _, name := range []string{"KV_" + f.ns + "-executions", f.ns + "-ready"} {
			s, err := js.Stream(f.ctx, name)
			f.check(err)
			c := s.CachedInfo().Config
			if c.MaxBytes = bytes; bytes > 0 {
				c.MaxBytes += int64(s.CachedInfo().State.Bytes)
			}
			_, err = js.UpdateStream(f.ctx, c)
			f.check(err)
		}
	}
	f.fault(history.FaultBegan, history.Server, "streams", "full")
	limit(20_000)
	refused := f.enqueueUntilFull(5 * time.Second)
	time.Sleep(2 * time.Second)
	limit(-1)
	f.fault(history.FaultEnded, history.Server, "streams", "full")
	if refused == nil {
		t.Error("nothing was refused: the test tests nothing")
	}
	f.enqueue("afterwards", plant{Branches: []plant{{}}})
	f.settle()
}

// enqueueUntilFull enqueues trees, each once, for a while and until the store refuses one. It returns
// that error.
func (f *fleet) enqueueUntilFull(d time.Duration) error {
	var refused error
	for n, end := 0, time.Now().Add(d); time.Now().Before(end) || (refused == nil && time.Now().Before(end.Add(settleTime))); n++ {
		id := fmt.Sprint("tree", n)
		p := plant{WaitAll: true, Branches: []plant{{}, {Kind: line}}}
		ctx, cancel := context.WithTimeout(f.ctx, 3*time.Second)
		_, err := plants.Enqueue(ctx, f.client, p, append(p.options(), engine.ID(id))...)
		cancel()
		switch {
		case err == nil:
			status, sum := p.ends()
			f.note(history.Event{Kind: history.Accepted, Execution: id, Task: plants.ID(), Status: status, Output: text(sum)})
		case errors.Is(err, engine.ErrQueueFull):
			f.note(history.Event{Kind: history.Refused, Execution: id, Text: err.Error()})
			refused = err
		default:
			f.note(history.Event{Kind: history.Unsure, Execution: id, Text: err.Error()})
			refused = err
		}
	}
	return refused
}

// TestFaultFullDisk fills the disk of the server. The server then accepts nothing until there is room
// and it is restarted. No accepted execution is lost.
func TestFaultFullDisk(t *testing.T) {
	onlyLong(t)
	t.Parallel()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=48m"); err != nil {
		t.Skipf("a small file system can't be mounted here: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Errorf("unmount %s: %v", dir, err)
		}
	})
	f := newFleet(t, setup{servers: jstest.Processes(t, 1, dir)})
	f.hire(program{Slots: 8})
	f.hire(program{Slots: 8})
	f.enqueue("before", plant{Branches: []plant{{}, {Nap: 6 * time.Second}}})

	f.fault(history.FaultBegan, history.Server, "disk", "full")
	ballast := filepath.Join(dir, "ballast")
	f.check(fill(ballast))
	refused := f.enqueueUntilFull(6 * time.Second)
	t.Logf("while the disk was full: %v", refused)
	f.check(os.Remove(ballast))
	f.servers.Stop(0)
	f.servers.Start(0)
	f.fault(history.FaultEnded, history.Server, "disk", "full")
	if refused == nil {
		t.Error("nothing was refused: the test tests nothing")
	}
	f.enqueue("afterwards", plant{Branches: []plant{{}}})
	f.settle()
}

// fill writes a file until the disk is full.
func fill(path string) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	defer file.Close()
	for size := 1 << 20; size > 0; size /= 2 {
		for {
			if _, err := file.Write(make([]byte, size)); errors.Is(err, syscall.ENOSPC) {
				break
			} else if err != nil {
				return err
			}
		}
	}
	return nil
}
