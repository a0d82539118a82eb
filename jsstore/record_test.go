package jsstore_test

import (
	"errors"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/durable-execution/durable/codec"
	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/jsstore"
	"github.com/durable-execution/durable/jsstore/jstest"
)

func TestWriteWhoseAnswerWasLostIsKnownAgain(t *testing.T) {
	jstest.Bubble(t, func(t *testing.T, nc *nats.Conn) {
		s := jstest.Open(t, nc, jsstore.Config{})
		// Like Update, except for the answer.
		m := nats.NewMsg(s.RecordSubject("te_1"))
		m.Header.Set(codec.HeaderWrite, "mine")
		seq, err := s.Publish(t.Context(), m)
		if err != nil {
			t.Fatal(err)
		}
		revision := engine.Revision(seq)
		for _, c := range []struct {
			what  string
			write string
			at    engine.Revision
			want  error
		}{
			{"its own", "mine", 0, nil},
			{"another's", "other", 0, engine.ErrConflict},
			{"one that is in flight still", "other", revision, jsstore.ErrNoAnswer},
		} {
			got, err := s.Own(t.Context(), m.Subject, c.write, c.at, engine.ErrConflict)
			if !errors.Is(err, c.want) || (err == nil && got != revision) {
				t.Errorf("%s: revision %d, error %v, want %d, %v", c.what, got, err, revision, c.want)
			}
		}
	})
}
