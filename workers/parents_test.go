package workers

import (
	"strconv"
	"testing"

	"github.com/durable-execution/durable/codec"
	"github.com/durable-execution/durable/engine"
)

// TestParentsThatTakeTurnsAreNotAllForgotten uses a third more parents than are remembered, one
// after the other.
func TestParentsThatTakeTurnsAreNotAllForgotten(t *testing.T) {
	var p parents
	r := engine.Record{Execution: engine.Execution{Status: engine.WaitingForChildren, Input: codec.Payload{Data: make([]byte, 6<<10)}}}
	room := maxRemembered / sizeOf(&r.Execution)
	recalled := 0
	const turns = 4
	for n := range turns * room * 4 / 3 {
		r.ID = strconv.Itoa(n % (room * 4 / 3))
		if _, known := p.recall(r.ID); known {
			recalled++
		}
		p.remember(r)
		if p.size > maxRemembered || len(p.byID) > room {
			t.Fatalf("%d records of %d bytes are remembered, want %d at most", len(p.byID), p.size, maxRemembered)
		}
	}
	if least := (turns - 1) * room / 4; recalled < least {
		t.Errorf("%d recalled in %d turns of %d, want %d at least", recalled, turns, room*4/3, least)
	}
	for id := range p.byID {
		r.ID, r.Status = id, engine.Completed
		p.remember(r)
	}
	if len(p.byID) != 0 || p.size != 0 {
		t.Errorf("%d records of %d bytes are remembered that wait for nothing", len(p.byID), p.size)
	}
}
