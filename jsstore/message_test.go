package jsstore

import (
	"strings"
	"testing"
)

func TestAckSubjectsOfBothFormatsAreRead(t *testing.T) {
	for _, reply := range []string{
		"$JS.ACK.stream.consumer.3.17.5.1700000000123456789.2",
		"$JS.ACK.hub.ACCHASH.stream.consumer.3.17.5.1700000000123456789.2",
		"$JS.ACK.hub.ACCHASH.stream.consumer.3.17.5.1700000000123456789.2.token",
	} {
		got := meta(reply)
		if got.deliveries != 3 || got.sequence != 17 || got.time.UnixNano() != 1700000000123456789 {
			t.Errorf("%s: %+v, want delivery 3 of sequence 17 at 1700000000123456789", reply, got)
		}
	}
}

// secret is not part of any host: an output that contains it shows a password, or a part of
// one.
const secret = "sEcrEt"

func TestErrorsDoNotShowPasswords(t *testing.T) {
	got := Redact("nats://user:secret@one:4222, tls://token@two,three:1")
	if want := "one:4222, two, three:1"; got != want {
		t.Errorf("hosts = %q, want %q", got, want)
	}
	for _, urls := range []string{
		"nats://user:" + secret + "@127.0.0.1:port", "nats://" + secret + "@127.0.0.1:1", "user:" + secret + "@127.0.0.1:1",
		"nats://user:" + secret + "/x@127.0.0.1:1", "nats://user:" + secret + "?x@127.0.0.1:1", "nats://user:" + secret + "#x@127.0.0.1:1",
		"nats://user:x," + secret + "@127.0.0.1:1", "nats://user:" + secret + ",x@127.0.0.1:1", "user:" + secret + ",x@127.0.0.1:1",
		"nats://user:%zz" + secret + "@127.0.0.1:1", "nats://user:" + secret + "%@127.0.0.1:1", "nats://user:" + secret + " @127.0.0.1:1",
		"nats://user:x\x7f" + secret + "@127.0.0.1:1", "nats://user:x@" + secret + "@127.0.0.1:1", "nats://127.0.0.1:1/?token=" + secret,
		"nats://user:1/" + secret + "@127.0.0.1:1", "http://user:" + secret + "@127.0.0.1:1", "://user:" + secret + "@127.0.0.1:1",
		"nats://127.0.0.1:1,nats://user:" + secret + "/@127.0.0.1:2", " nats://user:" + secret + "@[::1",
	} {
		_, err := Connect(t.Context(), urls, Config{})
		if err == nil || strings.Contains(err.Error(), secret) {
			t.Errorf("connect to %q: %v, want an error without the password", urls, err)
		}
		if shown := Redact(urls); strings.Contains(shown, secret) {
			t.Errorf("%q is shown as %q", urls, shown)
		}
	}
}
