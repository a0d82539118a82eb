package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"go/ast"
	"go/doc"
	"go/parser"
	"go/token"
	"path/filepath"
	"strings"
	"unicode"
)

// summarized returns the counts of a text, which must not be empty.
func summarized(text []byte) summary {
	lines := bytes.Count(text, []byte{'\n'})
	if text[len(text)-1] != '\n' {
		lines++
	}
	words := len(bytes.Fields(text))
	sum := sha256.Sum256(text)
	return summary{
		Summary: fmt.Sprintf("%s, %s, %s", count(lines, "line", "lines"), count(words, "word", "words"), byteSize(int64(len(text)))),
		Lines:   lines,
		Words:   words,
		SHA256:  hex.EncodeToString(sum[:]),
	}
}

// maxTitle is the greatest number of characters in a title.
const maxTitle = 200

// titleOf finds the title of a text. For Markdown it is the first heading; for Go, the first
// sentence of the first doc comment, or the package clause; otherwise the first line that is
// not blank.
func titleOf(path string, text []byte) string {
	title := ""
	switch strings.ToLower(filepath.Ext(path)) {
	case ".md", ".markdown":
		title = heading(string(text))
	case ".go":
		title = synopsis(text)
	}
	for line := range strings.Lines(string(text)) {
		if title != "" {
			break
		}
		title = plain(line)
	}
	runes := []rune(title)
	if len(runes) > maxTitle {
		title = string(runes[:maxTitle-1]) + "…"
	}
	return title
}

// plain returns a line without characters that can't be printed, with single spaces.
func plain(line string) string {
	line = strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) {
			return ' '
		}
		if !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(line, "?"))
	return strings.Join(strings.Fields(line), " ")
}

// heading returns the first heading of a Markdown text, marked by # or underlined.
func heading(text string) string {
	before, fence := "", ""
	for line := range strings.Lines(text) {
		first := fence == "" && before == "" && line == text[:len(line)]
		line = strings.TrimRight(line, " \t\r\n")
		mark := strings.TrimLeft(line, " ")
		switch {
		case fence != "": // in a block of code, or in front matter
			if strings.HasPrefix(mark, fence) {
				fence = ""
			}
			continue
		case strings.HasPrefix(mark, "```"), strings.HasPrefix(mark, "~~~"), first && mark == "---":
			fence, before = mark[:3], ""
			continue
		case before != "" && mark != "" && (strings.Trim(mark, "=") == "" || strings.Trim(mark, "-") == ""):
			return plain(before)
		}
		if h := strings.TrimLeft(mark, "#"); h != mark && strings.HasPrefix(h, " ") {
			if h = plain(strings.TrimRight(h, "# ")); h != "" {
				return h
			}
		}
		before = mark
	}
	return ""
}

// synopsis returns the first sentence of the package comment, or of the first doc comment, or
// the package clause. It is empty if the text is not Go.
func synopsis(text []byte) string {
	f, err := parser.ParseFile(token.NewFileSet(), "", text, parser.ParseComments|parser.SkipObjectResolution)
	if f == nil || (err != nil && f.Name == nil) {
		return ""
	}
	comments := []*ast.CommentGroup{f.Doc}
	for _, d := range f.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			comments = append(comments, d.Doc)
		case *ast.GenDecl:
			comments = append(comments, d.Doc)
		}
	}
	for _, c := range comments {
		if s := plain(new(doc.Package).Synopsis(c.Text())); s != "" {
			return s
		}
	}
	if f.Name.Name == "" || f.Name.Name == "_" {
		return ""
	}
	return "package " + f.Name.Name
}
