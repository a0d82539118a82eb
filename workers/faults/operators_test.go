//go:build unix

package faults

import (
	"context"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/durable-execution/durable/engine/history"
	"github.com/durable-execution/durable/jsstore/jstest"
)

// Faults that operators cause, each for a while. The servers are those of jstest.AccountProcesses.

// rotatePassword changes the password for some seconds, as if servers and clients did not change it at
// the same time. Meanwhile it kills an executor; its replacement can't connect.
func rotatePassword(s *storm) {
	s.refusePrograms(func() {
		time.Sleep(time.Duration(s.rand.IntN(2000)) * time.Millisecond)
		s.anyone().kill()
		s.boot(s.recruit())
		time.Sleep(time.Duration(s.rand.IntN(2000)) * time.Millisecond)
	})
}

// refusePrograms makes every server refuse the programs' password while fn runs.
func (f *fleet) refusePrograms(fn func()) {
	f.fault(history.FaultBegan, history.Link, "credentials", "refused")
	f.servers.SetPassword("another")
	fn()
	f.servers.SetPassword(jstest.GuardedPassword)
	f.fault(history.FaultEnded, history.Link, "credentials", "refused")
}

// outage takes every server down for longer than the shortest retention and the leases that the engine
// adds to it.
func outage(s *storm) {
	s.down(momentLife + 2*s.lease + time.Duration(s.rand.IntN(2000))*time.Millisecond)
}

// down kills every server, and starts them after a while.
func (f *fleet) down(d time.Duration) {
	f.fault(history.FaultBegan, history.Server, "servers", "outage")
	f.servers.KillAll()
	time.Sleep(d)
	f.servers.StartAll()
	f.fault(history.FaultEnded, history.Server, "servers", "outage")
}

// fillAccount sets a limit that leaves the account almost no room, for a while.
func fillAccount(s *storm) {
	s.withoutRoom(20_000, func() { time.Sleep(time.Duration(s.rand.IntN(4000)) * time.Millisecond) })
}

// withoutRoom leaves the account this many bytes while fn runs.
func (f *fleet) withoutRoom(room int64, fn func()) {
	f.t.Helper()
	used := uint64(0)
	f.operate("ask what the account uses", func(ctx context.Context, js jetstream.JetStream) error {
		info, err := js.AccountInfo(ctx)
		if err == nil {
			used = info.Store
		}
		return err
	})
	f.fault(history.FaultBegan, history.Server, "account", "full")
	f.servers.LimitFile(int64(used) + room)
	fn()
	f.servers.LimitFile(-1)
	f.fault(history.FaultEnded, history.Server, "account", "full")
}

// fillStreams sets limits that leave the streams no room, for a while.
func fillStreams(s *storm) {
	s.fault(history.FaultBegan, history.Server, "streams", "full")
	s.limitStreams(20_000)
	time.Sleep(time.Duration(s.rand.IntN(2000)) * time.Millisecond)
	s.limitStreams(-1)
	s.fault(history.FaultEnded, history.Server, "streams", "full")
}

// limitStreams leaves the streams of work this many bytes of room; -1 means no limit.
func (f *fleet) limitStreams(room int64) {
	f.t.Helper()
	for _, name := range []string{"KV_" + f.ns + "-executions", f.ns + "-ready"} {
		f.operate("limit "+name, func(ctx context.Context, js jetstream.JetStream) error {
			stream, err := js.Stream(ctx, name)
			if err != nil {
				return err
			}
			c := stream.CachedInfo().Config
			if c.MaxBytes = room; room > 0 {
				c.MaxBytes += int64(stream.CachedInfo().State.Bytes)
			}
			_, err = js.UpdateStream(ctx, c)
			return err
		})
	}
}

// operate repeats a request to servers that may be about to elect a leader.
func (f *fleet) operate(what string, ask func(context.Context, jetstream.JetStream) error) {
	f.t.Helper()
	nc := f.servers.Connect()
	defer nc.Close()
	js, err := jetstream.New(nc)
	f.check(err)
	for end := time.Now().Add(2 * settleTime); ; {
		ctx, cancel := context.WithTimeout(f.ctx, 5*time.Second)
		err := ask(ctx, js)
		cancel()
		if err == nil {
			return
		}
		if time.Now().After(end) {
			f.t.Fatalf("%s: %v", what, err)
		}
	}
}
