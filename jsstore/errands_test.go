package jsstore

import (
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/nats-io/nats.go"
)

// TestErrandsKeepNobodyWaiting runs more errands than there is room for: run always returns at
// once, the waiting ones are dropped at the end, and end waits for those under way.
func TestErrandsKeepNobodyWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, release := newErrands(2), make(chan struct{})
		var began, done atomic.Int32
		for range 5 {
			e.run(func() {
				began.Add(1)
				<-release
				done.Add(1)
			})
		}
		synctest.Wait()
		if !e.crowded() || began.Load() != 2 {
			t.Fatalf("%d errands of 5 are under way (crowded: %t), want the 2 that there is room for", began.Load(), e.crowded())
		}
		ended := make(chan struct{})
		go func() {
			e.end()
			close(ended)
		}()
		synctest.Wait()
		select {
		case <-ended:
			t.Error("the end did not wait for those under way")
		default:
		}
		close(release)
		<-ended
		e.run(func() { began.Add(1) })
		synctest.Wait()
		if began.Load() != 2 || done.Load() != 2 {
			t.Errorf("%d errands began and %d were done, want 2 and 2", began.Load(), done.Load())
		}
	})
}

// TestFeedGivesNoCreditWhileErrandsAreCrowded sends messages that errands handle: the feed's
// goroutine goes on, and the feed requests no more messages than there is room for.
func TestFeedGivesNoCreditWhileErrandsAreCrowded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &Store{errands: newErrands(3)}
		release := make(chan struct{})
		f := &feed[int]{s: s, done: make(chan struct{}), decode: func(*nats.Msg, bool) (int, bool) {
			s.errands.run(func() { <-release })
			synctest.Wait()
			return 0, false
		}}
		f.Request(4)
		for range 6 { // credit for two comes back before the errands are crowded
			f.deliver(&nats.Msg{}, false)
		}
		if n := f.credit.Load(); n != 0 {
			t.Errorf("credit = %d with the errands crowded, want 0", n)
		}
		close(release)
		synctest.Wait()
		if n := f.credit.Load(); n != 4 {
			t.Errorf("credit = %d when all is done, want the 4 that it was", n)
		}
		s.errands.end()
	})
}
