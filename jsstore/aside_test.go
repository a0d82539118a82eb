package jsstore_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/durable-execution/durable/codec"
	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/jsstore"
	"github.com/durable-execution/durable/jsstore/jstest"
)

// messages returns how many messages a stream has.
func messages(t *testing.T, nc *nats.Conn, stream string) int {
	t.Helper()
	return int(jstest.StreamInfo(t, nc, stream).State.Msgs)
}

func publish(t *testing.T, s *jsstore.Store, m *nats.Msg) {
	t.Helper()
	if _, err := s.Publish(t.Context(), m); err != nil {
		t.Fatal(err)
	}
}

func TestMessagesThatNobodyCanReadAreSetAside(t *testing.T) {
	jstest.Bubble(t, func(t *testing.T, nc *nats.Conn) {
		s := jstest.Open(t, nc, jsstore.Config{Lease: 2 * time.Second})
		due, err := s.Claim(t.Context(), engine.DefaultQueue)
		if err != nil {
			t.Fatal(err)
		}
		defer due.Close()
		ended, err := s.Closures(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer ended.Close()
		ending, err := s.Cancels(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer ending.Close()
		looks, err := s.Expiries(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer looks.Close()
		due.Request(1)
		ended.Request(1)
		ending.Request(1)
		looks.Request(1)

		bad := []*nats.Msg{
			{Subject: "durable.ready.default.task.a.b.c", Data: []byte("1"), Header: nats.Header{"X-Own": {"kept"}}},
			{Subject: "durable.ready.default.task.bad$id", Data: []byte("1")},
			{Subject: "durable.ready.default.short", Data: []byte("1")},
			{Subject: "durable.closure.p", Data: []byte("no closure")},
			{Subject: "durable.cancel.x", Data: []byte{0x80}},
			{Subject: "durable.due.=expire.not.a.root"},
			// Messages of a later version wait for that version.
			{Subject: "durable.closure.p", Data: []byte("\x82\xa1v\x02\xa8parentId\xa1p")},
		}
		for _, m := range bad {
			publish(t, s, m)
		}
		// The next message of each kind gets through.
		enqueued := engine.Due{Execution: engine.Execution{ID: "good", Task: "task", Queue: engine.DefaultQueue, Status: engine.Ready, Policy: engine.Policy{Timeout: time.Minute}}}
		if err := s.Enqueue(t.Context(), enqueued); err != nil {
			t.Fatal(err)
		}
		closure := engine.Closure{Parent: "p", ID: "p.0", Task: "task", Status: engine.Completed}
		if err := s.Carry(t.Context(), engine.TellParent{Closure: closure}); err != nil {
			t.Fatal(err)
		}
		if err := s.Cancel(t.Context(), engine.Cancel{ID: "good", Reason: "why"}); err != nil {
			t.Fatal(err)
		}
		if d := <-due.Messages(); d.Execution.ID != "good" || d.Done(t.Context()) != nil {
			t.Errorf("due: %+v", d)
		}
		if m := <-ended.Messages(); m.Closure.ID != "p.0" || m.Done(t.Context()) != nil {
			t.Errorf("closure: %+v", m)
		}
		if m := <-ending.Messages(); m.Cancel.ID != "good" || m.Done(t.Context()) != nil {
			t.Errorf("cancel: %+v", m)
		}
		time.Sleep(time.Minute)

		var places []string
		for _, a := range jstest.Asides(t, s) {
			places = append(places, a.Place+" about "+a.ID)
			if a.Reason == "" || a.Record {
				t.Errorf("aside = %+v, want a message and a reason", a)
			}
		}
		slices.Sort(places)
		if want := []string{
			"durable.cancel.x about x", "durable.closure.p about p", "durable.due.=expire.not.a.root about ",
			"durable.ready.default.short about short", "durable.ready.default.task.a.b.c about ", "durable.ready.default.task.bad$id about ",
		}; !slices.Equal(places, want) {
			t.Errorf("aside: %q, want %q", places, want)
		}
		if n := messages(t, nc, "durable-ready"); n != 0 {
			t.Errorf("%d messages left in the queue, want none", n)
		}
		if n := messages(t, nc, "durable-control"); n != 1 {
			t.Errorf("%d control messages left, want the one of a later version", n)
		}
	})
}

func TestARecordThatIsDamagedHidesNoOther(t *testing.T) {
	jstest.Bubble(t, func(t *testing.T, nc *nats.Conn) {
		s := jstest.Open(t, nc, jsstore.Config{})
		for _, id := range []string{"a", "b", "c"} {
			if _, err := s.Update(t.Context(), engine.Execution{ID: id, Task: "task", Queue: engine.DefaultQueue, Status: engine.Running}, 0); err != nil {
				t.Fatal(err)
			}
		}
		whole, err := engine.EncodeRecord(engine.Execution{ID: "b", Task: "task", Queue: engine.DefaultQueue, Status: engine.Running})
		if err != nil {
			t.Fatal(err)
		}
		publish(t, s, &nats.Msg{Subject: s.RecordSubject("b"), Data: whole[:len(whole)/2]})
		later, err := codec.Marshal(map[string]any{"v": 2, "executionId": "c", "taskId": "task", "queue": "default", "status": "dreaming"})
		if err != nil {
			t.Fatal(err)
		}
		publish(t, s, &nats.Msg{Subject: s.RecordSubject("c"), Data: later})

		if _, err := s.Get(t.Context(), "b"); !errors.Is(err, engine.ErrDamaged) {
			t.Errorf("get b: %v, want ErrDamaged", err)
		}
		if r, err := s.Get(t.Context(), "c"); !errors.Is(err, engine.ErrNewer) || r.Status != "dreaming" || r.Revision == 0 {
			t.Errorf("get c: %+v, %v, want the fields that are understood, and ErrNewer", r, err)
		}
		var ids []string
		for r, err := range s.List(t.Context(), engine.Filter{}) {
			if err != nil {
				t.Fatal(err)
			}
			ids = append(ids, r.ID)
		}
		if want := []string{"a", "c"}; !slices.Equal(ids, want) {
			t.Errorf("list: %q, want %q", ids, want)
		}
		list := jstest.Asides(t, s)
		if len(list) != 1 || !list[0].Record || list[0].ID != "b" || !strings.Contains(list[0].Reason, "can't be read") {
			t.Errorf("aside: %+v, want the record of b", list)
		}
	})
}

func TestWhatWasSetAsideIsPutBackOrForgotten(t *testing.T) {
	jstest.Bubble(t, func(t *testing.T, nc *nats.Conn) {
		s := jstest.Open(t, nc, jsstore.Config{})
		f, err := s.Claim(t.Context(), engine.DefaultQueue)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		input, err := codec.Encode("in")
		if err != nil {
			t.Fatal(err)
		}
		x := engine.Execution{
			ID: "x", Task: "task", Queue: engine.DefaultQueue, Input: input, Status: engine.Ready, Policy: engine.Policy{Timeout: time.Minute},
			CreatedAt: time.Now().UTC().Truncate(time.Millisecond),
		}
		if err := s.Enqueue(t.Context(), engine.Due{Execution: x}); err != nil {
			t.Fatal(err)
		}
		f.Request(3)
		if err := (<-f.Messages()).SetAside(t.Context(), "why"); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"x", "=namespace", "=aside.durable-ready.7-1", "=aside.>", "=aside.a b"} {
			if err := s.PutBack(t.Context(), name); !errors.Is(err, jsstore.ErrNotAside) {
				t.Errorf("put %q back: %v, want ErrNotAside", name, err)
			}
		}

		list := jstest.Asides(t, s)
		if len(list) != 1 {
			t.Fatalf("aside: %+v, want one", list)
		}
		time.Sleep(time.Second) // of fake time: until the server has handled the ack, for which nobody waits
		if err := s.PutBack(t.Context(), list[0].Name); err != nil {
			t.Fatal(err)
		}
		d := <-f.Messages()
		if !d.Execution.Input.Equal(input) || d.Execution.Policy.Timeout != time.Minute || d.Invalid != nil || !d.Execution.CreatedAt.Equal(x.CreatedAt) {
			t.Errorf("came back as %+v, want it unchanged", d.Execution)
		}
		if d.Fresh {
			t.Error("it is fresh, want its claimer to look: it may have run since")
		}
		if len(jstest.Asides(t, s)) != 0 {
			t.Errorf("aside: %+v, want nothing", jstest.Asides(t, s))
		}

		if err := d.SetAside(t.Context(), "why"); err != nil {
			t.Fatal(err)
		}
		name := jstest.Asides(t, s)[0].Name
		if err := s.Forget(t.Context(), name); err != nil {
			t.Fatal(err)
		}
		if err := s.Forget(t.Context(), name); !errors.Is(err, jsstore.ErrNotAside) {
			t.Errorf("forget again: %v, want ErrNotAside", err)
		}
		time.Sleep(3 * time.Second)
		if got := jstest.Keys(t, nc); len(got) > 0 {
			t.Errorf("keys = %q, want none", got)
		}
	})
}
