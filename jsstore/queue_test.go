package jsstore_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/jsstore"
	"github.com/durable-execution/durable/jsstore/jstest"
)

func claim(t *testing.T, s *jsstore.Store, n int) engine.Feed[*engine.Delivery] {
	t.Helper()
	f, err := s.Claim(t.Context(), engine.DefaultQueue)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.Close)
	f.Request(n)
	return f
}

func enqueue(t *testing.T, s *jsstore.Store, id string, delay time.Duration) {
	t.Helper()
	now := time.Now().UTC().Truncate(time.Millisecond)
	x := engine.Execution{
		ID: id, Task: "task", Queue: engine.DefaultQueue, Status: engine.Ready,
		CreatedAt: now, ChangedAt: now, StartAt: now.Add(delay), Policy: engine.Policy{Delay: delay, Timeout: time.Minute},
	}
	if err := s.Enqueue(t.Context(), engine.Due{Execution: x}); err != nil {
		t.Fatal(err)
	}
}

// take returns what is delivered within a second, but at most most deliveries.
func take(feeds ...engine.Feed[*engine.Delivery]) (list []*engine.Delivery) {
	for _, f := range feeds {
		for more := true; more; {
			select {
			case d := <-f.Messages():
				list = append(list, d)
			case <-time.After(time.Second):
				more = false
			}
		}
	}
	return list
}

// TestLimitOfAQueueHoldsForTheFleet lets two executors with many slots work on ready and on
// delayed executions, under a limit that is set while they run.
func TestLimitOfAQueueHoldsForTheFleet(t *testing.T) {
	jstest.Bubble(t, func(t *testing.T, nc *nats.Conn) {
		s := jstest.Open(t, nc, jsstore.Config{})
		a, b := claim(t, s, 100), claim(t, s, 100)
		if err := s.LimitQueue(t.Context(), engine.DefaultQueue, 3); err != nil {
			t.Fatal(err)
		}
		for i := range 6 {
			enqueue(t, s, fmt.Sprint("now-", i), 0)
			enqueue(t, s, fmt.Sprint("later-", i), 5*time.Second)
		}
		time.Sleep(10 * time.Second)
		seen := map[string]bool{}
		for range 4 {
			held := take(a, b)
			if len(held) != 3 {
				t.Errorf("%d in hand, want 3", len(held))
			}
			for _, d := range held {
				seen[d.Execution.ID] = true
				if err := d.Done(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
		}
		if len(seen) != 12 {
			t.Errorf("%d executions came, want 12", len(seen))
		}

		// Opening the queue does not change the limit.
		c := claim(t, jstest.Open(t, nc, jsstore.Config{Lease: 10 * time.Second}), 100)
		for i := range 5 {
			enqueue(t, s, fmt.Sprint("more-", i), 0)
		}
		held := take(a, b, c)
		if len(held) != 3 {
			t.Errorf("%d in hand after another executor came, want 3", len(held))
		}
		if err := s.LimitQueue(t.Context(), engine.DefaultQueue, jsstore.NoLimit); err != nil {
			t.Fatal(err)
		}
		if rest := take(a, b, c); len(rest) != 2 {
			t.Errorf("%d came without a limit, want the other 2", len(rest))
		}
	})
}

// TestWhatComesFromTheTimersIsMovedWhenItsPlaceIsFree has a holder that has moved a message to
// the timers and is slow to acknowledge the ready message. If the message from the timers were
// dropped because the ready stream still has one, none would be left.
func TestWhatComesFromTheTimersIsMovedWhenItsPlaceIsFree(t *testing.T) {
	jstest.Bubble(t, func(t *testing.T, nc *nats.Conn) {
		s := jstest.Open(t, nc, jsstore.Config{})
		if err := s.LimitQueue(t.Context(), engine.DefaultQueue, 2); err != nil {
			t.Fatal(err)
		}
		f := claim(t, s, 2)
		enqueue(t, s, "x", 0)
		d := <-f.Messages()
		timer := nats.NewMsg("durable.later.x")
		timer.Header.Set("Durable-Hint", "1")
		timer.Header.Set("Nats-Schedule", "@at "+time.Now().Add(time.Second).UTC().Format(time.RFC3339Nano))
		timer.Header.Set("Nats-Schedule-Target", "durable.due.default.task.x")
		publish(t, s, timer)
		if early := take(f); len(early) > 0 {
			t.Errorf("%s came, want its place taken", early[0].Execution.ID)
		}
		time.Sleep(5 * time.Second)
		if err := d.Done(t.Context()); err != nil {
			t.Fatal(err)
		}
		select {
		case again := <-f.Messages():
			if again.Execution.ID != "x" || !again.Hint {
				t.Errorf("got %+v, want a hint at x", again)
			}
		case <-time.After(time.Minute):
			t.Error("nothing came, want what the timers had")
		}
	})
}

func TestPauseOfAQueueEnds(t *testing.T) {
	jstest.Bubble(t, func(t *testing.T, nc *nats.Conn) {
		s := jstest.Open(t, nc, jsstore.Config{})
		f := claim(t, s, 10)
		if err := s.PauseQueue(t.Context(), engine.DefaultQueue, time.Now().Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
		enqueue(t, s, "now", 0)
		enqueue(t, s, "later", 2*time.Second)
		claim(t, jstest.Open(t, nc, jsstore.Config{Lease: 10 * time.Second}), 0) // opening it does not end the pause
		if early := take(f); len(early) > 0 {
			t.Errorf("%d came during the pause: %+v", len(early), early[0].Execution.ID+" "+early[0].Message)
		}
		time.Sleep(58 * time.Minute)
		if early := take(f); len(early) > 0 {
			t.Errorf("%d came during the pause: %+v", len(early), early[0].Execution.ID+" "+early[0].Message)
		}
		time.Sleep(2 * time.Minute)
		came := take(f)
		if len(came) != 2 {
			t.Errorf("%d came after the pause, want 2", len(came))
		}
		for _, d := range came {
			if err := d.Done(t.Context()); err != nil {
				t.Fatal(err)
			}
		}

		if err := s.PauseQueue(t.Context(), engine.DefaultQueue, time.Now().Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
		enqueue(t, s, "again", 0)
		if early := take(f); len(early) > 0 {
			t.Errorf("%d came during the pause: %+v", len(early), early[0].Execution.ID+" "+early[0].Message)
		}
		if err := s.PauseQueue(t.Context(), engine.DefaultQueue, time.Time{}); err != nil {
			t.Fatal(err)
		}
		if got := take(f); len(got) != 1 {
			t.Errorf("%d came after the pause was ended, want 1", len(got))
		}
	})
}

func TestLimitsThatCannotBeAreRefused(t *testing.T) {
	jstest.Bubble(t, func(t *testing.T, nc *nats.Conn) {
		s := jstest.Open(t, nc, jsstore.Config{})
		for _, err := range []error{
			s.LimitQueue(t.Context(), "a b", 1), s.LimitQueue(t.Context(), "", 1), s.LimitQueue(t.Context(), "a", -1),
			s.PauseQueue(t.Context(), "a.b", time.Time{}),
		} {
			if err == nil {
				t.Error("no error, want it refused")
			}
		}
		js, err := jetstream.New(nc)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := js.Consumer(t.Context(), "durable-ready", "queue-a"); !errors.Is(err, jetstream.ErrConsumerNotFound) {
			t.Errorf("consumer: %v, want none made", err)
		}
	})
}
