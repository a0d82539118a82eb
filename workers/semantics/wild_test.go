package semantics_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// A wild message is a message that no client library would send. It has random bytes where a
// meaning is expected, and meaningful words where none are expected.
type wild struct {
	subject      string
	header, body []byte
}

func (m wild) String() string {
	return fmt.Sprintf("%.300q, header %.300q, body %.100q", m.subject, m.header, m.body)
}

// A wilderness makes wild messages from a seed.
type wilderness struct {
	*rand.Rand
	n int
}

func one[T any](r *wilderness, list ...T) T { return list[r.IntN(len(list))] }

// bytes returns up to n random bytes.
func (r *wilderness) bytes(n int) []byte {
	b := make([]byte, r.IntN(n+1))
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

// bend changes a few bytes of b, or no byte.
func (r *wilderness) bend(b []byte) []byte {
	for range one(r, 0, 0, 0, 1, 2, 5) {
		switch at := r.IntN(len(b) + 1); r.IntN(3) {
		case 0:
			b = append(b[:at:at], append(r.bytes(4), b[at:]...)...)
		case 1:
			b = append(b[:at:at], b[min(at+r.IntN(4), len(b)):]...)
		default:
			if at < len(b) {
				b[at] = byte(r.Uint32())
			}
		}
	}
	return b
}

func (r *wilderness) message() wild {
	r.n++
	return wild{r.subject(), r.block(), r.body()}
}

// subject returns a subject that a publish may have: the server splits the arguments at spaces, and
// refuses wildcards and empty tokens.
func (r *wilderness) subject() string {
	id := fmt.Sprintf("w%d", r.n)
	text := one(r,
		"durable.ready.default.greet."+id, "durable.ready.default.greet."+id, "durable.ready.default.greet."+id,
		"durable.ready.default.greet."+id+".0", "durable.ready.default."+id, "durable.ready."+id, "durable.ready.="+id+".greet."+id,
		"durable.ready.nobody.greet."+id, "durable.ready.default.unknown."+id, "durable.ready.default.greet."+id+"."+id+"."+id,
		"durable.ready.default.greet."+strings.Repeat("i", 126)+id, "durable.ready.default."+strings.Repeat("t", 256)+"."+id,
		"durable.ready."+strings.Repeat("q", 65)+".greet."+id, "durable.ready.default.greet.=expire."+id, "durable.ready.=expire."+id)
	prefix := "durable.ready."
	rest := string(r.bend([]byte(text[len(prefix):])))
	for _, bad := range []string{" ", "\t", "\r", "\n", "*", ">", "\x00", "\f", "\v"} {
		rest = strings.ReplaceAll(rest, bad, "_")
	}
	for strings.Contains(rest, "..") {
		rest = strings.ReplaceAll(rest, "..", ".")
	}
	if rest = strings.Trim(rest, "."); rest == "" {
		rest = id
	}
	return prefix + rest
}

// wildNames has names of headers that have a meaning. It leaves out the headers of batches and of
// message traces, because the server answers these differently from a publish.
var wildNames = []string{
	"Content-Type", "Durable-Exclusive", "Durable-Delay", "Durable-Timeout", "Durable-Retries", "Durable-Base-Delay", "Durable-Multiplier",
	"Durable-Max-Delay", "Durable-Jitter", "Durable-On-Child-Failure", "Durable-Meta-order", "Durable-Meta-", "Durable-Meta-a b", "Durable-Created",
	"Durable-Settled", "Durable-Validated", "Durable-Sleeping", "Durable-Retry-Of", "Durable-Hint", "Durable-Deliveries", "Durable-Version", "Durable-Write",
	"Durable-Aside-Subject", "Durable-Aside-Headers", "Durable-Aside-Size", "KV-Operation", "Status", "Description", "", "durable-retries", "X-Own",
	"Nats-Subject", "Nats-Sequence", "Nats-Stream", "Nats-Time-Stamp", "Nats-Num-Pending", "Nats-Last-Sequence", "Nats-Msg-Id", "Nats-Scheduler",
	"Nats-Schedule", "Nats-Schedule-Target", "Nats-Rollup", "Nats-TTL", "Nats-Expected-Stream", "Nats-Expected-Last-Sequence", "Nats-Marker-Reason",
}

var wildValues = []string{
	"", "0", "1", "-1", "2", "1000", "+5", "007", "1e3", "0x10", "NaN", "Inf", "1.5", "9007199254740993", "9223372036854775807", "9223372036854775808",
	"18446744073709551615", "-9223372036854775808", "yes", "true", "null", "é", "\xff\xfe", " 1", "1 ", "a\tb", strings.Repeat("x", 300), strings.Repeat("y", 5000),
	"application/json", "application/msgpack", "text/plain", "application/json; enc=", "application/json; enc=gzip", "application/json; enc=blob",
	"application/json; enc=aes-gcm.k1", "application/msgpack; enc=gzip+blob", "fail_fast", "wait_all", "DEL", "404", "409", "all", "@at 2099-01-01T00:00:00Z",
	"durable.due.default.greet.x", "durable-ready", "w1", "w1.0", "2020-01-01T00:00:00Z",
}

func (r *wilderness) block() []byte {
	switch r.IntN(8) {
	case 0:
		return nil
	case 1:
		return append(r.bytes(40), "\r\n"...)
	}
	b := []byte(one(r, "NATS/1.0\r\n", "NATS/1.0\r\n", "NATS/1.0\r\n", "NATS/1.0\r\n", "NATS/1.0 404 Not Found\r\n", "NATS/1.0 100\r\n", "nats/1.0\r\n", "NATS/1.0\n"))
	for range r.IntN(one(r, 4, 4, 4, 80)) {
		b = append(b, one(r, wildNames...)+one(r, ": ", ": ", ":", " : ")+one(r, wildValues...)+one(r, "\r\n", "\r\n", "\r\n", "\n", "\r\n\r\n")...)
	}
	b = append(r.bend(b), "\r\n"...)
	return b
}

func (r *wilderness) body() []byte {
	return r.bend([]byte(one(r, `{"name":"world"}`, `{"name":"world"}`, "", "null", `{"name":`, "\x81\xa4name\xa1x", "\xc1", "\xc1\x80", "\xc1\x90",
		"\xc1\x81\xa1v\x02", "\xc1\x82\xa5input\xc4\x10{\"name\":\"world\"}\xa9inputType\xb0application/json", "\xc1\x81\xa8parentId\xa2w1",
		"\xc1\x82\xa8parentId\xa2w1\xa5index\x00", "\xc1\x81\xa7retryOf\xa2w1", "\xc1\x81\xa6policy\x81\xa9timeoutMs\xff", "\xc1\x81\xa8sleeping\xc3",
		strings.Repeat("0", 64)+" 5 1", strings.Repeat("[", 20_000), "\x1f\x8b\x08\x00")))
}
