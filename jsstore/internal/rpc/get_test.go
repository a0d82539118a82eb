package rpc

import (
	"bytes"
	"maps"
	"slices"
	"testing"

	"github.com/nats-io/nats.go"
)

func TestAnswersToPublishesAreRead(t *testing.T) {
	for answer, want := range map[string]uint64{
		`{"stream":"KV_durable-executions", "seq":123}`:                       123,
		`{"stream":"s","seq":18446744073709551615,"domain":"hub"}`:            1<<64 - 1,
		`{"stream":"s","seq": 7}`:                                             7, // not in the server's format
		`{"stream":"s", "seq":9,"duplicate":true}`:                            9,
		`{"seq":4,"stream":"s"}`:                                              4,
		`{"error":{"code":400,"err_code":10071},"stream":"s","seq":0}`:        0,
		`{"error":{"code":503,"err_code":10077,"description":"x \"seq\":1"}}`: 0,
	} {
		seq, err := PubAck(&nats.Msg{Data: []byte(answer)})
		if seq != want || (err == nil) != (want > 0) {
			t.Errorf("%s: %d, %v, want %d", answer, seq, err, want)
		}
	}
	for _, broken := range []string{`{"stream":"s","seq":}`, `{"stream":"s"`, `{"stream":"s","seq":1`, ``} {
		if seq, err := PubAck(&nats.Msg{Data: []byte(broken)}); err == nil {
			t.Errorf("%s: %d, want an error", broken, seq)
		}
	}
}

func TestAnswersToGetsAreReadTheSameEitherWay(t *testing.T) {
	const head, tail = `{"type":"io.nats.jetstream.api.v1.stream_msg_get_response",`, `"time":"2026-11-25T21:00:00.123456789Z"}}`
	for answer, plain := range map[string]bool{
		head + `"message":{"subject":"a.b","seq":7,"hdrs":"TkFUUy8xLjANCkE6IGINCg0K","data":"AQIDBA==",` + tail: true,
		head + `"message":{"subject":"a.b","seq":18446744073709551615,"data":"AQIDBA==",` + tail:                true,
		head + `"message":{"subject":"a.b","seq":7,"hdrs":"TkFUUy8xLjANCkE6IGINCg0K",` + tail:                   true,
		head + `"message":{"subject":"a.b","seq":7,` + tail:                                                     true,
		head + `"message":{"subject":"a\u003eb","seq":7,"data":"AQIDBA==",` + tail:                              false,
		head + `"message":{"subject":"a.b","seq":7,"new":1,"data":"AQIDBA==",` + tail:                           false,
		head + `"message":{"seq":7,"subject":"a.b","data":"AQIDBA==",` + tail:                                   false,
		head + `"message":{"subject":"a.b","seq":7,"data":"AQ?","time":"2026-11-25T21:00:00Z"}}`:                false,
		head + `"message":{"subject":"a.b","seq":7,"data":"AQIDBA==","time":"today"}}`:                          false,
		head + `"message":{"subject":"a.b","seq":-1,` + tail:                                                    false,
		head + `"message":{"subject":"a.b","se`:                                                                 false,
		head + `"error":{"code":404,"err_code":10037,"description":"no message found"}}`:                        false,
		`{}`: false,
		``:   false,
	} {
		got := plainMessage([]byte(answer))
		want, refusal, err := anyMessage([]byte(answer))
		if (got != nil) != plain {
			t.Errorf("%s: read at once %v, want %v", answer, got != nil, plain)
		}
		if got != nil && (refusal != nil || err != nil || !sameMessage(got, want)) {
			t.Errorf("%s: read at once %+v, want %+v, %v, %v", answer, got, want, refusal, err)
		}
	}
}

func sameMessage(a, b *Stored) bool {
	return a.Subject == b.Subject && a.Sequence == b.Sequence && a.Time.Equal(b.Time) && bytes.Equal(a.Data, b.Data) &&
		maps.EqualFunc(a.Header, b.Header, slices.Equal)
}
