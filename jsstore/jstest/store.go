package jstest

import (
	"slices"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/jsstore"
)

// Open opens a namespace, and closes it at the end of the test.
func Open(t *testing.T, nc *nats.Conn, c jsstore.Config) *jsstore.Store {
	t.Helper()
	s, err := jsstore.Open(t.Context(), nc, c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// StreamInfo returns what the server knows of a stream.
func StreamInfo(t *testing.T, nc *nats.Conn, name string, opts ...jetstream.StreamInfoOpt) *jetstream.StreamInfo {
	t.Helper()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	s, err := js.Stream(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	info, err := s.Info(t.Context(), opts...)
	if err != nil {
		t.Fatal(err)
	}
	return info
}

// Keys returns the keys of the bucket durable-executions, sorted, without the namespace's own.
func Keys(t *testing.T, nc *nats.Conn) []string {
	t.Helper()
	var list []string
	info := StreamInfo(t, nc, "KV_durable-executions", jetstream.WithSubjectFilter(">"))
	for subject := range info.State.Subjects {
		if key := strings.TrimPrefix(subject, "$KV.durable-executions."); key != "=namespace" {
			list = append(list, key)
		}
	}
	slices.Sort(list)
	return list
}

// Asides returns all messages that the store has set aside.
func Asides(t *testing.T, s *jsstore.Store) []engine.Aside {
	t.Helper()
	var list []engine.Aside
	for a, err := range s.Aside(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, a)
	}
	return list
}
