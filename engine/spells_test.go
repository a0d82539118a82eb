package engine

import (
	"testing"
	"time"
)

func TestTroubleThatComesAndGoesIsToldOnceAMinute(t *testing.T) {
	var s Spells
	begins, ends, left := 0, 0, 0
	for n := range 600 { // a spell a second, for ten minutes
		at := time.Unix(int64(n), 0)
		if tell, l := s.Fails(at); tell {
			begins, left = begins+1, left+l
		}
		if tell, _ := s.Fails(at.Add(100 * time.Millisecond)); tell {
			t.Errorf("a spell is told twice")
		}
		if s.Ends() {
			ends++
		}
	}
	if begins != 10 || ends != 10 || left != 9*59 {
		t.Errorf("%d begins, %d ends, %d left out, want 10, 10, %d", begins, ends, left, 9*59)
	}
	if s.Ends() {
		t.Error("the end of nothing is told")
	}
	at := time.Unix(600, 0)
	s.Fails(at)
	s.Ends()
	if tell, _ := s.Fails(at.Add(time.Second)); tell {
		t.Error("a second spell in a minute is told")
	}
	if tell, left := s.Fails(at.Add(time.Minute)); !tell || left != 0 || !s.Ends() {
		t.Errorf("trouble that lasts is told: %v, with %d left out, want true and 0", tell, left)
	}
}
