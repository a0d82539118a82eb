package engine

import (
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestIDsSortByTime(t *testing.T) {
	var ids []string
	for _, now := range []time.Time{
		time.UnixMilli(0), time.UnixMilli(1), time.UnixMilli(31), time.UnixMilli(32), t0, t0.Add(time.Millisecond),
		t0.Add(time.Second), t0.AddDate(1, 0, 0), t0.AddDate(1000, 0, 0), time.UnixMilli(1<<48 - 1),
	} {
		ids = append(ids, newID(now))
	}
	if !slices.IsSorted(ids) {
		t.Errorf("got %v, want them sorted", ids)
	}
}

func TestIDsOfOneMomentDiffer(t *testing.T) {
	seen := map[string]bool{}
	form := regexp.MustCompile(`^te_[0-9a-v]{26}$`)
	for range 10_000 {
		id := newID(t0)
		if seen[id] {
			t.Fatalf("%s occurs twice", id)
		}
		seen[id] = true
		if !form.MatchString(id) {
			t.Fatalf("id %q, want %s", id, form)
		}
	}
	if err := ValidateID(newID(t0)); err != nil {
		t.Error(err)
	}
}

func TestDerivedIDs(t *testing.T) {
	deep := "te_root.1-2-3-4-5-6-7-8-9-10-11-12-13-14-15-16-17" // a path of 40 characters
	for _, c := range []struct{ got, want string }{
		{childID("te_root", 0), "te_root.0"},
		{childID("te_root", 12), "te_root.12"},
		{finalizeID("te_root"), "te_root.f"},
		{childID("te_root.12", 3), "te_root.12-3"},
		{finalizeID("te_root.12"), "te_root.12-f"},
		{childID("te_root.f", 3), "te_root.f-3"},
		// Fixed for ever: a parent that spawns again after an upgrade must use the same ids.
		{childID(deep, 7), "te_root.h7opocpeuhil6ti6u41td581l-7"},
		{finalizeID("my-own_ID"), "my-own_ID.f"},
	} {
		if c.got != c.want {
			t.Errorf("got %s, want %s", c.got, c.want)
		}
	}
}

func TestIDsAreBoundedAtAnyDepth(t *testing.T) {
	for _, root := range []string{newID(t0), "x", strings.Repeat("r", maxExecutionID)} {
		for _, step := range []func(string) string{
			finalizeID,
			func(id string) string { return childID(id, 0) },
			func(id string) string { return childID(id, 999_999) },
			func(id string) string { return childID(id, 1<<62) },
			func(id string) string { return finalizeID(childID(id, 12345)) },
		} {
			id, seen, longest := root, map[string]bool{root: true}, 0
			for depth := range 2_000 {
				id = step(id)
				if seen[id] {
					t.Fatalf("%s again at depth %d", id, depth)
				}
				seen[id] = true
				longest = max(longest, len(id))
				if err := ValidateID(id); err != nil {
					t.Fatalf("depth %d: %v", depth, err)
				}
				if RootOf(id) != root || !strings.HasPrefix(id, root+".") {
					t.Fatalf("root of %s = %s, want %s", id, RootOf(id), root)
				}
			}
			if most := len(root) + 1 + maxPath + 8; longest > most {
				t.Errorf("an id of %d characters, want at most %d", longest, most)
			}
		}
	}
}

func TestIDsInAWideAndDeepTreeDiffer(t *testing.T) {
	seen := map[string]bool{}
	add := func(id string) string {
		if seen[id] {
			t.Fatalf("%s occurs twice", id)
		}
		seen[id] = true
		return id
	}
	root := add(newID(t0))
	for i := range 20_000 {
		add(childID(root, i))
	}
	// Add a tree, eight levels deep, in which each node has three children and a finalize.
	level := []string{finalizeID(root)}
	add(level[0])
	for range 8 {
		var next []string
		for _, id := range level {
			for i := range 3 {
				next = append(next, add(childID(id, i)))
			}
			next = append(next, add(finalizeID(id)))
		}
		level = next
	}
	// Below some of the nodes, add so many levels that the paths are hashed.
	for _, id := range level[:300] {
		for range 60 {
			add(finalizeID(id))
			add(childID(id, 11))
			id = add(childID(id, 1))
		}
	}
}

func TestDerivingIsDeterministic(t *testing.T) {
	tree := func() []string {
		var ids []string
		id := "te_root"
		for i := range 100 {
			ids = append(ids, finalizeID(id))
			id = childID(id, i*37)
			ids = append(ids, id)
		}
		return ids
	}
	if a, b := tree(), tree(); !slices.Equal(a, b) {
		t.Errorf("got %v, want %v", b, a)
	}
}

func TestInvalidIDsAreRefusedWithTheReason(t *testing.T) {
	long := strings.Repeat("x", 300)
	for _, c := range []struct {
		err  error
		want []string
	}{
		{ValidateID(""), []string{"execution id is empty"}},
		{ValidateID(".1"), []string{"execution id is empty"}},
		{ValidateID("te_x."), []string{"below the root", "empty"}},
		{ValidateID("te x"), []string{`execution id "te x"`, `' ' is not one of`}},
		{ValidateID("te_*"), []string{`'*' is not one of`}},
		{ValidateID("te_>"), []string{`'>' is not one of`}},
		{ValidateID("te_ü"), []string{`'ü' is not one of`}},
		{ValidateID("te_\xff"), []string{"is not one of"}},
		{ValidateID("te_\n"), []string{`'\n' is not one of`}},
		{ValidateID("te_x.1.2"), []string{"below the root", `'.' is not one of`}},
		{ValidateID("te_x.1/2"), []string{"below the root", `'/' is not one of`}},
		{ValidateID(long[:129]), []string{"execution id", "129 characters, at most 128"}},
		{ValidateID("te_x." + long[:49]), []string{"below the root", "49 characters, at most 48"}},
		{ValidateTask(""), []string{"task id is empty"}},
		{ValidateTask("a.b"), []string{`task id "a.b"`, `'.' is not one of`}},
		{ValidateTask(long[:256]), []string{"task id", "256 characters, at most 255"}},
		{ValidateQueue(""), []string{"queue is empty"}},
		{ValidateQueue("a b"), []string{`queue "a b"`, `' ' is not one of`}},
		{ValidateQueue(long[:65]), []string{"queue", "65 characters, at most 64"}},
	} {
		if c.err == nil {
			t.Errorf("no error, want %q", c.want)
			continue
		}
		for _, want := range c.want {
			if !strings.Contains(c.err.Error(), want) {
				t.Errorf("error %q, want %q in it", c.err, want)
			}
		}
		if len(c.err.Error()) > 200 {
			t.Errorf("error of %d characters: %.80q..., want it short", len(c.err.Error()), c.err)
		}
	}
	for what, err := range map[string]error{
		"execution": ValidateID(long[:128]), "below": ValidateID(long[:128] + "." + long[:48]),
		"task": ValidateTask(long[:255]), "queue": ValidateQueue(long[:64]), "every character": ValidateID("azAZ09_-"),
	} {
		if err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
}
