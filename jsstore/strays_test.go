package jsstore_test

import (
	"testing"
	"time"

	"github.com/durable-execution/durable/jsstore"
	"github.com/durable-execution/durable/jsstore/jstest"
	"github.com/durable-execution/durable/jsstore/scan"
)

// TestStraysAreSetAsideTogether uses a network on which so many requests, one after the other,
// would take longer than the test allows for all of them.
func TestStraysAreSetAsideTogether(t *testing.T) {
	const strays, way = 1000, 10 * time.Millisecond
	link := jstest.Proxy(t, jstest.Listening(t).URL())
	s, err := jsstore.Connect(t.Context(), link.URL(), jsstore.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	if err := s.Strays(t.Context(), strays); err != nil {
		t.Fatal(err)
	}
	link.Slow(way)
	began := time.Now()
	if err := s.LookForStrays(t.Context()); err != nil {
		t.Fatal(err)
	}
	took := time.Since(began)
	link.Heal()
	n := 0
	for a, err := range s.Aside(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		if a.Reason == "" {
			t.Errorf("%+v has no reason", a)
		}
		n++
	}
	state, err := s.Scan().State(t.Context(), scan.Ready)
	if err != nil {
		t.Fatal(err)
	}
	if n != strays || state.Messages != 0 {
		t.Errorf("%d are set aside and %d left, want %d and 0", n, state.Messages, strays)
	}
	if most := strays * 2 * way; took > most {
		t.Errorf("took %s, want less than %s, which is half of what they take one after the other", took, most)
	}
	t.Logf("took %s", took)
}
