package jstest

import (
	"errors"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Fill fills the server's space for streams to the last byte, with a stream of its own. It
// returns a function that makes room again.
func (h *Host) Fill() (empty func()) {
	h.t.Helper()
	nc := h.Connect()
	js, err := jetstream.New(nc)
	if err != nil {
		h.t.Fatal(err)
	}
	s, err := js.CreateOrUpdateStream(h.t.Context(), jetstream.StreamConfig{Name: "BALLAST", Subjects: []string{"ballast"}})
	if err != nil {
		h.t.Fatal(err)
	}
	for size := 64 << 10; size > 0; size /= 2 {
		for {
			_, err := js.PublishMsg(h.t.Context(), &nats.Msg{Subject: "ballast", Data: make([]byte, size)})
			var refusal *jetstream.APIError
			if errors.As(err, &refusal) {
				break // no room for this many bytes
			}
			if err != nil {
				h.t.Fatal(err)
			}
		}
	}
	return func() {
		h.t.Helper()
		if err := s.Purge(h.t.Context()); err != nil {
			h.t.Fatal(err)
		}
	}
}
