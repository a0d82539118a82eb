package workers_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestTheProgramInTheReadmeIsTheExample checks that the README's program is an example that
// compiles and prints the output that the README shows.
func TestTheProgramInTheReadmeIsTheExample(t *testing.T) {
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	example, err := os.ReadFile("example_quick_test.go")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(readme), "```go\n")
	program, _, _ := strings.Cut(rest, "\nfunc must(")
	code, _, _ := strings.Cut(string(example), "\t// Output:")
	want := strings.NewReplacer("package workers_test", "package main", "func Example_quick()", "func main()").Replace(code) + "}\n"
	if program != want {
		t.Errorf("README.md has:\n%s\nwant, as in workers/example_quick_test.go:\n%s", program, want)
	}
}

// TestEachExampleOfTheReferenceDocumentIsListed checks that the index has one row for each
// example, in the order of the files.
func TestEachExampleOfTheReferenceDocumentIsListed(t *testing.T) {
	page, err := os.ReadFile("../engine/docs/reference.md")
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob("reference_[0-9]*_test.go")
	if err != nil {
		t.Fatal(err)
	}
	example := regexp.MustCompile(`(?m)^func (Example_\w+)\(\)`)
	var want []string
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range example.FindAllSubmatch(text, -1) {
			want = append(want, fmt.Sprintf("| `%s` | [`workers/%s`](../../workers/%s) |", name[1], file, file))
		}
	}
	got := regexp.MustCompile("\\| `Example_.*").FindAllString(string(page), -1)
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("engine/docs/reference.md lists:\n%s\nwant, as in workers/reference_*_test.go:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}
