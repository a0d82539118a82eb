package engine

import (
	"errors"
	"math"
	"strings"
	"testing"
	"time"
)

// rooted returns x as the root of a tree.
func rooted(x Execution) Execution {
	x.ID, x.Parent, x.Index = "te_root", "", 0
	return x
}

func TestTreeIsLookedAtUnlessItsRootVanishesByItself(t *testing.T) {
	short, long := Limits{Lease: 30 * time.Second, Retention: time.Hour}, Limits{Lease: 30 * time.Second, Retention: 24 * time.Hour}
	grown := rooted(ready(Policy{}, claimed, spawned(2, nil)))
	ending := func(list ...Closure) ChildrenEnded {
		for i := range list {
			list[i].Parent, list[i].ID = "te_root", childID("te_root", list[i].Index)
		}
		return ending(list...)
	}
	for _, c := range []struct {
		name   string
		from   Execution
		event  Event
		alone  bool // it vanishes by itself if it is kept for a day or more
		looked bool
	}{
		{"a root that completes alone", rooted(ready(Policy{}, claimed)), returned, true, true},
		{"a root that fails alone", rooted(ready(Policy{}, claimed)), erred, true, true},
		{"a root that times out alone", rooted(ready(Policy{}, claimed)), timedOut, true, true},
		{"a root that is cancelled before it starts", rooted(ready(Policy{})), cancelled, true, true},
		{"a root that is cancelled while it runs", rooted(ready(Policy{}, claimed)), cancelled, true, true},
		{"a root that loses its last executor", rooted(ready(Policy{}, claimed)), crashedLast, true, true},
		{"a root whose children have completed", grown, ending(end(0, Completed), end(1, Completed)), false, true},
		{"a root whose child failed while another runs", grown, ending(end(0, Failed)), false, true},
		{"a root that is cancelled above its children", grown, cancelled, false, true},
		{"a root whose finalize has completed", rooted(ready(Policy{}, claimed, toFinalize)), finalized, false, true},
		{"a root that is cancelled before its finalize", rooted(ready(Policy{}, claimed, toFinalize)), cancelled, false, true},
		{"a child", ready(Policy{}, claimed), returned, false, false},
		{"a child with children", ready(Policy{}, claimed, spawned(1, nil)), cancelled, false, false},
		{"a child that its finished parent cancels", ready(Policy{}, claimed), cancelBelow, false, true},
	} {
		x, fx := apply(t, c.from, c.event)
		if looks := strings.Contains(kinds(fx), "Expire"); looks != c.looked {
			t.Errorf("%s: effects %q, want an Expire: %v", c.name, kinds(fx), c.looked)
			continue
		}
		for _, limits := range []Limits{short, long} {
			kept := limits.Retention + time.Minute
			d, vanishes := x.TimeToLive(limits)
			if want := c.alone && limits == long; vanishes != want || vanishes && d != kept {
				t.Errorf("%s, kept for %s: vanishes by itself %v, in %s, want %v in %s", c.name, limits.Retention, vanishes, d, want, kept)
			}
			if !c.looked {
				continue
			}
			when, ends := find[Expire](t, fx).LookAt(limits)
			if ends == vanishes {
				t.Errorf("%s, kept for %s: vanishes by itself %v, expires %v: want exactly one", c.name, limits.Retention, vanishes, ends)
			}
			if x.Parent != "" {
				kept = time.Minute
			}
			if want := x.FinishedAt.Add(kept); ends && !when.Equal(want) {
				t.Errorf("%s, kept for %s: expires at %s, want %s", c.name, limits.Retention, when, want)
			}
		}
	}
}

func TestActiveExecutionsStay(t *testing.T) {
	for name, x := range lives() {
		if _, ends := rooted(x).TimeToLive(Limits{Retention: time.Second}); ends && !x.Status.Finished() {
			t.Errorf("%s: vanishes", name)
		}
	}
}

func TestRetentionIsTheRootsOrElseTheNamespaces(t *testing.T) {
	for _, c := range []struct {
		name     string
		opts     []Option
		limit    time.Duration
		want     time.Duration
		stays    bool
		retained time.Duration // the retention in the policy
	}{
		{"the namespace's", nil, time.Hour, time.Hour, false, 0},
		{"for ever by the namespace", nil, Forever, 0, true, 0},
		{"for ever where a store knows none", nil, 0, 0, true, 0},
		{"its own", []Option{Retention(time.Minute)}, time.Hour, time.Minute, false, time.Minute},
		{"its own where the namespace's is for ever", []Option{Retention(time.Minute)}, Forever, time.Minute, false, time.Minute},
		{"the last that was given", []Option{KeepForever, Retention(time.Minute)}, time.Hour, time.Minute, false, time.Minute},
		{"for ever", []Option{KeepForever}, time.Hour, 0, true, Forever},
		{"zero", []Option{Retention(0)}, time.Hour, 0, true, Forever},
		{"Forever", []Option{Retention(Forever)}, time.Hour, 0, true, Forever},
	} {
		o, err := options{queue: DefaultQueue}.with(c.opts)
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		if o.policy.Retention != c.retained {
			t.Errorf("%s: policy says %s, want %s", c.name, o.policy.Retention, c.retained)
		}
		x, _ := apply(t, rooted(ready(o.policy, claimed)), returned)
		x = fromRecord(t, x)
		when, ends := x.RemoveAt(Limits{Retention: c.limit, Lease: time.Second})
		got := when.Sub(x.FinishedAt)
		if ends == c.stays || ends && got != c.want+2*time.Second {
			t.Errorf("%s: kept for %s (ends %v), want %s and two leases (stays %v)", c.name, got, ends, c.want, c.stays)
		}
	}
}

func fromRecord(t *testing.T, x Execution) Execution {
	t.Helper()
	data, err := EncodeRecord(x)
	if err != nil {
		t.Fatal(err)
	}
	got, err := DecodeRecord(data)
	if err != nil {
		t.Fatal(err)
	}
	if got.Policy != x.Policy {
		t.Errorf("policy from the record = %+v, want %+v", got.Policy, x.Policy)
	}
	return got
}

func TestRetentionThatCantBeIsRefusedWhereItIsGiven(t *testing.T) {
	for _, c := range []struct {
		retention time.Duration
		says      string
	}{
		{-1, "negative"},
		{-time.Hour, "negative"},
		{math.MinInt64, "negative"},
		{time.Second - 1, "less than 1s"},
		{Forever - 1, "longer than"},
	} {
		_, err := options{queue: DefaultQueue}.with([]Option{Retention(c.retention)})
		if !errors.Is(err, ErrInvalidOption) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("retention %d: %v, want ErrInvalidOption: %s", c.retention, err, c.says)
		}
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("retention %d: Define accepts it", c.retention)
				}
			}()
			Define[int, int]("task", Retention(c.retention))
		}()
	}
	for _, d := range []time.Duration{0, time.Second, 7 * 24 * time.Hour, longestDelay, Forever} {
		if err := ValidateRetention(d); err != nil {
			t.Errorf("retention %s: %v", d, err)
		}
	}
}

func TestTreeIsGoneALeaseAfterItWasToBeRemoved(t *testing.T) {
	limits := Limits{Retention: time.Hour, Lease: time.Second}
	root := Execution{ID: "x", Status: Completed, FinishedAt: t0}
	for _, c := range []struct {
		name string
		x    Execution
		gone time.Duration // how long after its end; 0 means never
	}{
		{"a root", root, time.Hour + 3*time.Second},
		{"its own retention", Execution{ID: "x", Status: Failed, FinishedAt: t0, Policy: Policy{Retention: time.Minute}}, time.Minute + 3*time.Second},
		{"for ever", Execution{ID: "x", Status: Failed, FinishedAt: t0, Policy: Policy{Retention: Forever}}, 0},
		{"an active root", Execution{ID: "x", Status: WaitingForChildren}, 0},
		{"a root that does not say when", Execution{ID: "x", Status: Completed}, 0},
		{"a child", Execution{ID: "x.0", Parent: "x", Status: Completed, FinishedAt: t0}, 0},
	} {
		for _, after := range []time.Duration{-time.Hour, c.gone - time.Millisecond, c.gone, c.gone + time.Millisecond, 1000 * time.Hour} {
			if got, want := c.x.Gone(limits, t0.Add(after)), c.gone > 0 && after > c.gone; got != want {
				t.Errorf("%s: gone %s after its end: %v, want %v", c.name, after, got, want)
			}
		}
	}
	if root.Gone(Limits{Lease: time.Second}, t0.Add(time.Hour)) {
		t.Error("gone, though the store has no retention")
	}
}
