package main

import (
	"strings"
	"testing"
)

func TestTitles(t *testing.T) {
	for _, c := range []struct{ path, text, want string }{
		{"a.md", "intro\n\n## The *title* ##\n", "The *title*"},
		{"a.md", "---\ntitle: front\n---\n# Behind\n", "Behind"},
		{"a.md", "```sh\n# no heading\n```\n# Heading\n", "Heading"},
		{"a.md", "Under\n=====\n", "Under"},
		{"a.md", "Under\n---\n", "Under"},
		{"a.md", "text\n\n---\n\nmore\n", "text"},
		{"a.md", "#no heading\n#\n", "#no heading"},
		{"A.MARKDOWN", "# Loud\n", "Loud"},
		{"a.md", "```\nnever closed\n# x\n", "```"},
		{"a.go", "// Package a does b. And more.\npackage a\n", "Package a does b."},
		{"a.go", "//go:build linux\n\npackage a\n\n// F does g.\nfunc F() {}\n", "F does g."},
		{"a.go", "package a\n", "package a"},
		{"a.go", "not go at all\n", "not go at all"},
		{"a.go", "package a\nfunc {", "package a"},
		{"a.txt", "\n\n  \n  First\tline \nSecond", "First line"},
		{"a.txt", "caf\xe9\n", "caf?"},
		{"a.txt", " \n\t\n", ""},
		{"a.txt", "", ""},
		{"none", "\x1b]0;evil\x07x", "]0;evilx"},
	} {
		if got := titleOf(c.path, []byte(c.text)); got != c.want {
			t.Errorf("titleOf(%s, %q) = %q, want %q", c.path, c.text, got, c.want)
		}
	}
	if got := titleOf("a.txt", []byte(strings.Repeat("ü", 500))); len([]rune(got)) != maxTitle {
		t.Errorf("a long title has %d characters, want %d", len([]rune(got)), maxTitle)
	}
}

func TestSummaries(t *testing.T) {
	for text, want := range map[string]string{
		"a":                "1 line, 1 word, 1 B",
		"a\n":              "1 line, 1 word, 2 B",
		"a b\nc":           "2 lines, 3 words, 5 B",
		"\n\n":             "2 lines, 0 words, 2 B",
		"a\u00a0b\u2003\n": "1 line, 2 words, 8 B",
	} {
		if got := summarized([]byte(text)).Summary; got != want {
			t.Errorf("summarized(%q) = %q, want %q", text, got, want)
		}
	}
}

func FuzzTitle(f *testing.F) {
	f.Add("a.md", []byte("# x\n---\n```"))
	f.Add("a.go", []byte("package a\n// x"))
	f.Fuzz(func(t *testing.T, path string, text []byte) {
		title := titleOf(path, text)
		if len([]rune(title)) > maxTitle || printable(title) != title {
			t.Errorf("titleOf(%q, %q) = %q", path, text, title)
		}
		if len(text) > 0 {
			summarized(text)
		}
	})
}
