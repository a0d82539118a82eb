package workers

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/durable-execution/durable/codec"
	"github.com/durable-execution/durable/engine"
)

func TestMissingKeysAreReportedWhileExecutionsNeedThem(t *testing.T) {
	now := time.Now()
	var k keys
	report := func(at time.Time) engine.Presence {
		p := engine.Presence{Failures: map[string]int{"other": 1}, Failing: map[string]time.Time{}}
		k.report(&p, at)
		return p
	}
	k2 := fmt.Errorf("input of x: %w", &codec.KeyError{Layer: "aes-gcm", Key: "k2"})
	const what = engine.NoKey + `key "k2" of layer "aes-gcm"`
	k.miss(k2, keyDeliveries-1, now)
	k.miss(errors.New("no key at all"), keyDeliveries, now)
	if p := report(now); len(p.Failing) != 0 {
		t.Errorf("failing %v after %d deliveries, want none: another executor may have the key", p.Failing, keyDeliveries-1)
	}
	k.miss(k2, keyDeliveries, now)
	k.miss(k2, keyDeliveries+1, now.Add(30*time.Second))
	if p := report(now.Add(time.Minute)); !p.Failing[what].Equal(now) || p.Failures[what] != 2 || p.Failures["other"] != 1 {
		t.Errorf("failing %v, failures %v, want %s twice since %s", p.Failing, p.Failures, what, now)
	}
	if p := report(now.Add(30*time.Second + keyMemory + 1)); len(p.Failing) != 0 {
		t.Errorf("failing %v, want none: no execution needs the key any more", p.Failing)
	}
	for i := range 3 * mostKeys { // a publisher makes up names
		k.miss(&codec.KeyError{Layer: strings.Repeat("l", 10_000), Key: fmt.Sprint(i, strings.Repeat("k", 10_000))}, keyDeliveries, now)
	}
	p := report(now)
	for what := range p.Failing {
		if len(what) > 250 {
			t.Errorf("a report of %d bytes", len(what))
		}
	}
	if len(p.Failing) == 0 || len(p.Failing) > mostKeys {
		t.Errorf("%d reports, want 1 to %d", len(p.Failing), mostKeys)
	}
}
