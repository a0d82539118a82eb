package engine_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestLinksBetweenPagesLeadSomewhere checks every relative link of every page.
func TestLinksBetweenPagesLeadSomewhere(t *testing.T) {
	out, err := exec.Command("git", "ls-files", "--full-name", "../*.md", "../.github/*.md").Output()
	if err != nil {
		t.Skipf("not a git checkout: %v", err)
	}
	pages := strings.Fields(string(out))
	if len(pages) < 10 {
		t.Fatalf("only %d pages: %v", len(pages), pages)
	}
	code := regexp.MustCompile("(?s)```.*?```")
	link := regexp.MustCompile(`\]\(([^)#]+)(#[^)]*)?\)`)
	for _, page := range pages {
		text, err := os.ReadFile(filepath.Join("..", page))
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range link.FindAllStringSubmatch(code.ReplaceAllString(string(text), ""), -1) {
			if strings.Contains(m[1], "://") {
				continue
			}
			if _, err := os.Stat(filepath.Join("..", filepath.Dir(page), m[1])); err != nil {
				t.Errorf("%s links to %s, which does not exist", page, m[1])
			}
		}
	}
}

// TestTheReadmeIsShort limits the README to what a reader can read in five minutes.
func TestTheReadmeIsShort(t *testing.T) {
	const most = 12_000
	info, err := os.Stat("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	if info.Size() > most {
		t.Errorf("README.md has %d bytes, want %d at most: the rest belongs to engine/docs", info.Size(), most)
	}
}
