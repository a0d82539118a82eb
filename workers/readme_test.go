package workers_test

import (
	"os"
	"strings"
	"testing"
)

// TestTheProgramInTheReadmeIsTheExample keeps the README's program one that
// compiles and does what it says.
func TestTheProgramInTheReadmeIsTheExample(t *testing.T) {
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	example, err := os.ReadFile("example_test.go")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(readme), "```go\n")
	program, _, _ := strings.Cut(rest, "```")
	var lines []string
	for line := range strings.Lines(string(example)) {
		if !strings.HasPrefix(line, "\t// Output:") {
			lines = append(lines, line)
		}
	}
	want := strings.NewReplacer("package workers_test", "package main", "func Example()", "func main()").Replace(strings.Join(lines, ""))
	if program != want {
		t.Errorf("README.md has:\n%s\nwant, as in workers/example_test.go:\n%s", program, want)
	}
}
