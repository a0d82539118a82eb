package jstest_test

import (
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/durable-execution/durable/jsstore/jstest"
)

func TestServersShareNothing(t *testing.T) {
	for range 2 {
		nc := jstest.Server(t)
		c := queue(t, nc, time.Minute)
		publish(t, nc, "q.a")
		if m, err := next(t, c).Metadata(); err != nil || m.Sequence.Stream != 1 {
			t.Errorf("metadata of the first message = %+v, %v", m, err)
		}
	}
}

func TestListeningServerHasAPort(t *testing.T) {
	nc, err := nats.Connect(jstest.Listening(t).URL())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	queue(t, nc, time.Minute)
	publish(t, nc, "q.a")
}
