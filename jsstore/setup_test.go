package jsstore_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/jsstore"
	"github.com/durable-execution/durable/jsstore/jstest"
)

// names returns the streams and consumers of a server, sorted.
func names(t *testing.T, nc *nats.Conn) []string {
	t.Helper()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for info := range js.ListStreams(t.Context()).Info() {
		list = append(list, info.Config.Name)
		st, err := js.Stream(t.Context(), info.Config.Name)
		if err != nil {
			t.Fatal(err)
		}
		for c := range st.ListConsumers(t.Context()).Info() {
			list = append(list, info.Config.Name+" "+c.Name)
		}
	}
	slices.Sort(list)
	return list
}

func TestNamespaceThatMustExistIsNotMade(t *testing.T) {
	nc := jstest.Server(t)
	_, err := jsstore.Open(t.Context(), nc, jsstore.Config{Namespace: "orders", MustExist: true})
	want := "open namespace orders: stream orders-ready: missing: durable setup --namespace orders makes it"
	if !errors.Is(err, jsstore.ErrMissing) || err.Error() != want {
		t.Errorf("error = %v, want %q", err, want)
	}
	if got := names(t, nc); len(got) != 0 {
		t.Errorf("it has made %q", got)
	}
}

// The test removes everything that SetUp creates, one by one.
func TestWhatIsMissingIsNamed(t *testing.T) {
	nc := jstest.Server(t)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	attempt := func() error {
		s, err := jsstore.Open(t.Context(), nc, jsstore.Config{MustExist: true})
		if err != nil {
			return err
		}
		defer s.Close()
		feed, err := s.Claim(t.Context(), "mail")
		if err == nil {
			feed.Close()
		}
		return err
	}
	setUp := func() {
		t.Helper()
		if _, err := jsstore.SetUp(t.Context(), nc, jsstore.Config{}, "mail"); err != nil {
			t.Fatal(err)
		}
		if err := attempt(); err != nil {
			t.Fatalf("after SetUp: %v", err)
		}
	}
	for _, stream := range []string{"durable-ready", "durable-timers", "durable-control", "KV_durable-executions"} {
		setUp()
		if err := js.DeleteStream(t.Context(), stream); err != nil {
			t.Fatal(err)
		}
		if err := attempt(); !errors.Is(err, jsstore.ErrMissing) || !strings.Contains(err.Error(), "stream "+stream+": missing: durable setup makes it") {
			t.Errorf("without %s: error = %v", stream, err)
		}
	}
	setUp()
	st, err := js.Stream(t.Context(), "KV_durable-executions")
	if err != nil {
		t.Fatal(err)
	}
	if err := st.Purge(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := attempt(); !errors.Is(err, jsstore.ErrMissing) || !strings.Contains(err.Error(), "namespace record: missing: durable setup makes it") {
		t.Errorf("without the record: error = %v", err)
	}
	for _, stream := range []string{"durable-ready", "durable-timers"} {
		setUp()
		if err := js.DeleteConsumer(t.Context(), stream, "queue-mail"); err != nil {
			t.Fatal(err)
		}
		if err := attempt(); !errors.Is(err, jsstore.ErrMissing) || !strings.HasSuffix(err.Error(), "from "+stream+": missing: durable setup --queue mail makes it") {
			t.Errorf("without the consumer of %s: error = %v", stream, err)
		}
	}
}

func TestNumbersOfANamespaceThatMustExistAreNotChanged(t *testing.T) {
	nc := jstest.Server(t)
	if _, err := jsstore.SetUp(t.Context(), nc, jsstore.Config{Lease: 5 * time.Second, Retention: time.Hour}); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		config jsstore.Config
		want   string
	}{
		{jsstore.Config{}, ""},
		{jsstore.Config{Lease: 5 * time.Second, Retention: time.Hour}, ""},
		{jsstore.Config{Lease: 7 * time.Second}, "namespace record: the lease is 5s, not 7s: durable setup --lease 7s changes it"},
		{jsstore.Config{Retention: engine.Forever}, "namespace record: the retention is 1h0m0s, not forever: durable setup --retention forever changes it"},
	} {
		c.config.MustExist = true
		s, err := jsstore.Open(t.Context(), nc, c.config)
		if err == nil {
			_ = s.Close()
		}
		if (c.want == "") != (err == nil) || err != nil && !strings.HasSuffix(err.Error(), c.want) {
			t.Errorf("open %+v: error = %v, want %q", c.config, err, c.want)
		}
	}
	if got := jstest.Open(t, nc, jsstore.Config{}).Limits(); got.Lease != 5*time.Second || got.Retention != time.Hour {
		t.Errorf("limits = %+v, want a lease of 5s and a retention of 1h", got)
	}
}

// No program writes such a lease, but a person may.
func TestNamespaceRecordWithoutAUsableLeaseHasTheDefault(t *testing.T) {
	for _, ms := range []int64{0, -1} {
		nc := jstest.Server(t)
		jstest.Open(t, nc, jsstore.Config{})
		data := fmt.Sprintf(`{"version":1,"shards":1,"leaseMs":%d,"retentionMs":3600000}`, ms)
		if _, err := nc.Request("$KV.durable-executions.=namespace", []byte(data), 5*time.Second); err != nil {
			t.Fatal(err)
		}
		if got := jstest.Open(t, nc, jsstore.Config{}).Limits(); got.Lease != jsstore.DefaultLease || got.Retention != time.Hour {
			t.Errorf("leaseMs %d: limits = %+v, want a lease of %s and a retention of 1h", ms, got, jsstore.DefaultLease)
		}
	}
}

func TestSetUpMakesFindsAndChanges(t *testing.T) {
	nc := jstest.Server(t)
	streams := []string{"durable-ready", "durable-timers", "durable-control", "KV_durable-executions"}
	consumers := []string{
		"durable-control closures", "durable-control cancels", "durable-timers expiries",
		"durable-ready queue-default", "durable-timers queue-default",
	}
	setUp := func(c jsstore.Config) map[string]jsstore.Part {
		t.Helper()
		parts, err := jsstore.SetUp(t.Context(), nc, c, "default")
		if err != nil {
			t.Fatal(err)
		}
		byName := map[string]jsstore.Part{}
		for _, p := range parts {
			byName[p.Name] = p
		}
		for _, name := range slices.Concat(streams, consumers, []string{"=namespace"}) {
			if byName[name].Name == "" {
				t.Errorf("%s is not reported", name)
			}
		}
		return byName
	}
	for round, want := range []jsstore.Did{jsstore.Made, jsstore.Found} {
		for name, p := range setUp(jsstore.Config{}) {
			if p.Did != want {
				t.Errorf("round %d: %s was %s, want %s", round, name, p.Did, want)
			}
		}
	}
	changed := setUp(jsstore.Config{Lease: 5 * time.Second, MaxReady: 7})
	for name, p := range changed {
		want := jsstore.Changed
		if slices.Contains(streams, name) && name != "durable-ready" {
			want = jsstore.Found
		}
		if p.Did != want {
			t.Errorf("with a lease and a maximum: %s was %s, want %s", name, p.Did, want)
		}
	}
	if got := changed["durable-ready"]; got.MaxMessages != 7 || got.Replicas != 1 {
		t.Errorf("durable-ready: %+v, want 7 messages at most, 1 replica", got)
	}
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range consumers {
		stream, consumer, _ := strings.Cut(name, " ")
		c, err := js.Consumer(t.Context(), stream, consumer)
		if err != nil {
			t.Fatal(err)
		}
		if got := c.CachedInfo().Config; got.AckWait != 5*time.Second || got.MaxAckPending != -1 {
			t.Errorf("%s: ack wait %s, %d pending at most, want 5s, no maximum", name, got.AckWait, got.MaxAckPending)
		}
	}
	want := slices.Concat(streams, consumers)
	if slices.Sort(want); !slices.Equal(names(t, nc), want) {
		t.Errorf("there are %q, want %q", names(t, nc), want)
	}
}
