package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestTheTreeInTheReadmeIsWhatTheProgramPrints compares the README's tree with the golden file of
// the same tree, except for ids, times and widths.
func TestTheTreeInTheReadmeIsWhatTheProgramPrints(t *testing.T) {
	readme, err := os.ReadFile(filepath.Join(packageDir, "..", "..", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(readme), "$ durable tree ")
	_, rest, _ = strings.Cut(rest, "\n")
	block, _, _ := strings.Cut(rest, "```")
	want, err := os.ReadFile(filepath.Join(packageDir, "testdata", "tree-failed.golden"))
	if err != nil {
		t.Fatal(err)
	}
	got := scrub(regexp.MustCompile(`upload-[0-9a-v]{26}`).ReplaceAllString(block, "BAD"), packageDir)
	if got != string(want) {
		t.Errorf("README.md has:\n%s\nwant, as in testdata/tree-failed.golden:\n%s", got, want)
	}
}
