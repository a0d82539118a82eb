package semantics_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// TestForestsThatOnceFailed runs the forests that once made TestTreesEndAsTheModelSays fail: both
// left a timer behind. To add one, save a forest in the directory as that test prints it.
func TestForestsThatOnceFailed(t *testing.T) {
	files, err := filepath.Glob("testdata/forests/*.json")
	check(t, err)
	if len(files) == 0 {
		t.Fatal("there are no forests in testdata/forests")
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		check(t, err)
		var f forest
		if err := json.Unmarshal(text, &f); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		for name, store := range map[string]struct {
			in    func(*testing.T, func(*testing.T, *world))
			model model
		}{
			"memstore":  {onMemstore, model{late: time.Millisecond}},
			"jetstream": {onRAM, model{late: late}},
		} {
			t.Run(filepath.Base(file)+"/"+name, func(t *testing.T) {
				g := &growth{forest: f, model: store.model}
				store.in(t, func(_ *testing.T, w *world) { g.grow(w) })
				for _, wrong := range g.wrong {
					t.Error(wrong)
				}
			})
		}
	}
}
