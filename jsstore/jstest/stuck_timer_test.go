package jstest_test

import (
	"errors"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/durable-execution/durable/jsstore/jstest"
)

// The fault of nats-server that jsstore's FireOverdue works around, without our code. The
// report:
//
//	A schedule that can't be stored when it fires never fires again
//
//	What happens: an `@at` schedule comes due while the account is at its file limit. The
//	server logs "Scheduled message failed to publish: insufficient resources", and does not
//	publish it when there is room again. Schedules that are due afterwards fire.
//
//	Expected: it is published as soon as there is room, since it lies in the stream and is
//	due.
//
//	Cause (2.15.2, server/scheduler.go): getScheduledMessages marks a schedule as in flight
//	when it hands it out. The mark is taken away when the message was stored, when the
//	schedule is published again, when the leader changes, and at a restart, but not when
//	storing fails. A failed publish should take it away, or set the schedule again with a pause.
//
//	To reproduce: this test. A stream with AllowMsgSchedules, a schedule due in 2 s, another
//	stream that fills max_file_store, 5 s, a purge of that stream, 1 minute.
//
//	Workaround: publish the same schedule to the same subject again.
func TestServerForgetsATimerThatItCouldNotStore(t *testing.T) {
	jstest.BubbleFull(t, 4<<20, func(t *testing.T, h *jstest.Host) {
		js, err := jetstream.New(h.Connect())
		if err != nil {
			t.Fatal(err)
		}
		s, err := js.CreateStream(t.Context(), jetstream.StreamConfig{
			Name: "TIMERS", Subjects: []string{"later.>", "due.>"}, AllowMsgSchedules: true, AllowMsgTTL: true, AllowRollup: true,
		})
		if err != nil {
			t.Fatal(err)
		}
		timer := nats.NewMsg("later.x")
		timer.Header.Set("Nats-Schedule", "@at "+time.Now().Add(2*time.Second).UTC().Format(time.RFC3339Nano))
		timer.Header.Set("Nats-Schedule-Target", "due.x")
		set := func() {
			if _, err := js.PublishMsg(t.Context(), timer); err != nil {
				t.Fatal(err)
			}
		}
		fired := func() bool {
			time.Sleep(time.Minute)
			_, err := s.GetLastMsgForSubject(t.Context(), "due.x")
			if err != nil && !errors.Is(err, jetstream.ErrMsgNotFound) {
				t.Fatal(err)
			}
			return err == nil
		}
		set()
		empty := h.Fill()
		if fired() {
			t.Fatal("the timer fired although there was no room for it")
		}
		empty()
		if fired() {
			t.Skip("this version of nats-server fires it when there is room again: jsstore's FireOverdue may go")
		}
		set()
		if !fired() {
			t.Error("the timer did not fire when it was published again, which is the workaround")
		}
	})
}
