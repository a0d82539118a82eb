package main

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/durable-execution/durable/engine"
)

func paths(in *inputs, dir string) []string {
	var list []string
	for _, f := range in.files {
		rel, err := filepath.Rel(dir, f.path)
		if err != nil {
			rel = f.path
		}
		list = append(list, rel)
	}
	return list
}

func TestADirectoryStandsForItsFiles(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "b.txt", "", "a/x.md", "", "a/.hidden", "", ".git/config", "", "a/.cache/y", "", "store/jetstream/z", "", "store/uploads/b.txt", "")
	if err := os.Symlink("b.txt", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	in, err := collect([]string{dir, filepath.Join(dir, "a", "..", "b.txt"), filepath.Join(dir, "gone")}, filepath.Join(dir, "store"))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := paths(in, dir), []string{"a/.hidden", "a/x.md", "b.txt"}; !slices.Equal(got, want) {
		t.Errorf("files = %q, want %q", got, want)
	}
	if in.skipped != 1 {
		t.Errorf("skipped = %d, want the link", in.skipped)
	}
	if len(in.refused) != 1 || in.refused[0].reason != "no such file or directory" {
		t.Errorf("refused = %v, want what is gone", in.refused)
	}
}

func TestADirectoryNamedWithADotIsWalkedIfAskedFor(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, ".config/x", "")
	in, err := collect([]string{filepath.Join(dir, ".config")})
	if got := paths(in, dir); err != nil || !slices.Equal(got, []string{".config/x"}) {
		t.Errorf("files = %q, %v", got, err)
	}
}

func TestWithoutArgumentsTheModuleIsUploaded(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "go.mod", "module x", "README.md", "", "pkg/deep/x.go", "", "pkg/x.png", "", ".git/HEAD.md", "")
	t.Chdir(filepath.Join(dir, "pkg", "deep"))
	in, err := collect(nil)
	if got, want := paths(in, dir), []string{"README.md", "pkg/deep/x.go"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("files = %q, %v, want %q", got, err, want)
	}
}

func TestAnIDIsThatOfTheUnchangedFile(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "x", "one", "y", "one")
	id := func(name, target string) string {
		path := filepath.Join(dir, name)
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		return idOf(file{path, info}, target)
	}
	first := id("x", "/up")
	if err := engine.ValidateID(first); err != nil || len(first) != len("upload-")+26 {
		t.Errorf("id %q: %v", first, err)
	}
	if again := id("x", "/up"); again != first {
		t.Errorf("id = %s, then %s, of the same file", first, again)
	}
	if err := os.Chtimes(filepath.Join(dir, "y"), time.Time{}, time.Unix(1, 0)); err != nil {
		t.Fatal(err)
	}
	changed := time.Now().Add(time.Second)
	others := []string{id("x", "/elsewhere"), id("y", "/up")}
	if err := os.Chtimes(filepath.Join(dir, "x"), changed, changed); err != nil {
		t.Fatal(err)
	}
	others = append(others, id("x", "/up"))
	for i, other := range others {
		if other == first || slices.Index(others, other) != i {
			t.Errorf("ids %q and %s: not all different", others, first)
		}
	}
}

func TestWhatStandsForAFile(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "x", "one")
	info, err := os.Stat(filepath.Join(dir, "x"))
	if err != nil {
		t.Fatal(err)
	}
	f := file{filepath.Join(dir, "x"), info}
	base := idOf(f, "/up")
	for _, c := range []struct {
		name   string
		known  map[string]engine.Status // by the part after the base
		afresh bool
		want   string
		isNew  bool
	}{
		{"nothing known", nil, false, "", true},
		{"completed", map[string]engine.Status{"": engine.Completed}, false, "", false},
		{"completed, --again", map[string]engine.Status{"": engine.Completed}, true, "-2", true},
		{"running", map[string]engine.Status{"": engine.Running}, false, "", false},
		{"running, --again", map[string]engine.Status{"": engine.Running}, true, "", false},
		{"failed", map[string]engine.Status{"": engine.Failed}, false, "-2", true},
		{"failed, then running", map[string]engine.Status{"": engine.Failed, "-2": engine.Ready}, false, "-2", false},
		{"failed ten times", map[string]engine.Status{"": engine.Failed, "-2": engine.Failed, "-9": engine.Failed, "-10": engine.TimedOut}, false, "-11", true},
		{"the first is forgotten", map[string]engine.Status{"-3": engine.Completed}, false, "-3", false},
	} {
		k := known{"upload-other": {ID: "upload-other", Status: engine.Ready}, "upload-old": {ID: "upload-old", Status: engine.Cancelled}}
		for suffix, status := range c.known {
			k[base+suffix] = engine.Execution{ID: base + suffix, Status: status}
		}
		p := planned([]file{f}, "/up", k, c.afresh)
		if j := p.jobs[0]; j.id != base+c.want || j.isNew() != c.isNew {
			t.Errorf("%s: id ends in %q, new %t, want %q, %t", c.name, j.id[len(base):], j.isNew(), c.want, c.isNew)
		}
		if len(p.adopted) != 1 || p.adopted[0].id != "upload-other" {
			t.Errorf("%s: adopted %v, want what runs of another file", c.name, p.adopted)
		}
	}
}
