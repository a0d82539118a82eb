package engine

import (
	"runtime/debug"
	"slices"
	"testing"

	"github.com/durable-execution/durable/codec"
)

// fresh returns an execution of a short root task with an input of 300 bytes, as it is enqueued.
func fresh() Execution {
	return Execution{
		ID: "te_0123456789abcdefghijklmnop", Task: "short", Queue: DefaultQueue,
		Policy: Policy{Timeout: DefaultTimeout}, Input: codec.Payload{Type: codec.MsgPack, Data: make([]byte, 300)}, Validated: true,
		Status: Ready, CreatedAt: at(1), StartAt: at(1), ChangedAt: at(1),
	}
}

func claim() Claimed {
	return Claimed{At: at(2), Executor: "host-1-abc", Message: "durable-ready 17", Delivery: 1}
}

func returnedWith(children int) Returned {
	r := Returned{At: at(3), Output: codec.Payload{Type: codec.MsgPack, Data: []byte{0x2a}}}
	for range children {
		r.Children = append(r.Children, Spawn{Task: "child", Queue: DefaultQueue, Policy: Policy{Timeout: DefaultTimeout}, Input: r.Output, Validated: true})
	}
	return r
}

// after returns x after the events.
func after(tb testing.TB, x Execution, events ...Event) Execution {
	tb.Helper()
	for _, ev := range events {
		var err error
		if x, _, err = Apply(x, ev); err != nil {
			tb.Fatal(err)
		}
	}
	return x
}

// ends returns the closures of the first n children of x.
func ends(x Execution, n int) []Closure {
	list := make([]Closure, n)
	for i := range list {
		list[i] = Closure{Parent: x.ID, ID: childID(x.ID, i), Task: "child", Index: i, Status: Completed}
	}
	return list
}

// kindsOf returns typical records: of a short task, of parents that wait, and of an execution
// that has been retried many times.
func kindsOf(tb testing.TB) map[string]Execution {
	tb.Helper()
	tried := fresh()
	tried.Policy.Retry.MaxRetries = 20
	for range 10 {
		tried = after(tb, tried, claim(), Erred{At: at(3), Failure: Failure{Kind: KindError, Message: "no route to host"}})
	}
	return map[string]Execution{
		"short":         after(tb, fresh(), claim(), returnedWith(0)),
		"parent-of-10":  after(tb, fresh(), claim(), returnedWith(10)),
		"parent-of-1k":  after(tb, fresh(), claim(), returnedWith(1000)),
		"tried-10-more": tried,
	}
}

func BenchmarkApply(b *testing.B) {
	waiting := after(b, fresh(), claim(), returnedWith(1000))
	for _, c := range []struct {
		name string
		x    Execution
		ev   Event
	}{
		{"claimed", fresh(), claim()},
		{"returned", after(b, fresh(), claim()), returnedWith(0)},
		{"returned-10-children", after(b, fresh(), claim()), returnedWith(10)},
		{"erred", after(b, fresh(), claim()), Erred{At: at(3), Failure: Failure{Kind: KindError, Message: "no"}}},
		{"one-of-1k-children-ended", waiting, ChildrenEnded{At: at(4), Children: ends(waiting, 1)}},
		{"1k-of-1k-children-ended", waiting, ChildrenEnded{At: at(4), Children: ends(waiting, 1000)}},
		{"cancelled", waiting, CancelRequested{At: at(4), Reason: "enough"}},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, _, err := Apply(c.x, c.ev); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkEncodeRecord(b *testing.B) {
	for name, x := range kindsOf(b) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := EncodeRecord(x); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkDecodeRecord(b *testing.B) {
	for name, x := range kindsOf(b) {
		data, err := EncodeRecord(x)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(data)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := DecodeRecord(data); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkClosureMessage(b *testing.B) {
	c := ends(fresh(), 1)[0]
	data, err := EncodeClosure(c)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("encode", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := EncodeClosure(c); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("decode", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := DecodeClosure(data); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// raced reports whether the race detector is on. It allocates memory of its own.
func raced() bool {
	info, ok := debug.ReadBuildInfo()
	return ok && slices.ContainsFunc(info.Settings, func(s debug.BuildSetting) bool { return s.Key == "-race" && s.Value == "true" })
}

// TestStepsOfEveryExecutionAllocateLittle limits the allocations of the steps that
// every execution takes. A change that needs more allocations must raise a limit here and say
// why; a change that needs fewer must lower it.
func TestStepsOfEveryExecutionAllocateLittle(t *testing.T) {
	if raced() {
		t.Skip("the race detector allocates, too")
	}
	running := after(t, fresh(), claim())
	waiting := after(t, fresh(), claim(), returnedWith(1000))
	done := after(t, running, returnedWith(0))
	record, err := EncodeRecord(done)
	if err != nil {
		t.Fatal(err)
	}
	closure := ends(waiting, 1)[0]
	message, err := EncodeClosure(closure)
	if err != nil {
		t.Fatal(err)
	}
	apply := func(x Execution, ev Event) func() error {
		return func() error { _, _, err := Apply(x, ev); return err }
	}
	for _, c := range []struct {
		what string
		do   func() error
		most float64
	}{
		{"apply that it was claimed", apply(fresh(), claim()), 0},
		{"apply that it returned", apply(running, returnedWith(0)), 3},
		{"apply that one of a thousand children ended", apply(waiting, ChildrenEnded{At: at(4), Children: ends(waiting, 1)}), 1},
		{"apply that a thousand children ended", apply(waiting, ChildrenEnded{At: at(4), Children: ends(waiting, 1000)}), 7},
		{"encode a record", func() error { _, err := EncodeRecord(done); return err }, 1},
		{"decode a record", func() error { _, err := DecodeRecord(record); return err }, 6},
		{"encode a closure", func() error { _, err := EncodeClosure(closure); return err }, 1},
		{"decode a closure", func() error { _, err := DecodeClosure(message); return err }, 3},
		{"make an id", func() error { return ValidateID(newID(at(1))) }, 2},
	} {
		var failed error
		got := testing.AllocsPerRun(100, func() {
			if err := c.do(); err != nil {
				failed = err
			}
		})
		if failed != nil {
			t.Errorf("%s: %v", c.what, failed)
		}
		if got > c.most {
			t.Errorf("%s: %g allocations, want %g at most", c.what, got, c.most)
		}
	}
}
