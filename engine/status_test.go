package engine

import "testing"

// Set.

func TestSetHasTheAddedMembers(t *testing.T) {
	var s Set
	want := map[int]bool{}
	for _, i := range []int{0, 7, 8, 63, 64, 1000, 7, 0} {
		s.add(i)
		want[i] = true
	}
	for i := -1; i < 1100; i++ {
		if s.Has(i) != want[i] {
			t.Errorf("Has(%d) = %v, want %v", i, s.Has(i), want[i])
		}
	}
	if s.Len() != len(want) {
		t.Errorf("Len() = %d, want %d", s.Len(), len(want))
	}
}

func TestActiveAndFinishedPartTheStatuses(t *testing.T) {
	for i, s := range Statuses() {
		if s.Active() != (i < 4) || s.Finished() != (i >= 4) || !s.Valid() {
			t.Errorf("%s: active %v, finished %v, valid %v", s, s.Active(), s.Finished(), s.Valid())
		}
	}
	for _, s := range []Status{"", "Ready", "done"} {
		if s.Active() || s.Finished() || s.Valid() {
			t.Errorf("%q: active %v, finished %v, valid %v, want none", s, s.Active(), s.Finished(), s.Valid())
		}
	}
}
