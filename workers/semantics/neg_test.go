package semantics_test

import (
	"bytes"
	"errors"
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestMistakesDoNotCompile type-checks the programs in testdata/neg. Each line with a comment
// `ERROR text` must have an error with this text, and no other line may have an error.
func TestMistakesDoNotCompile(t *testing.T) {
	programs, err := filepath.Glob("testdata/neg/*.go")
	check(t, err)
	if len(programs) < 10 {
		t.Fatalf("%d programs in testdata/neg", len(programs))
	}
	exports := exportsOf(t, "github.com/durable-execution/durable/engine", "time")
	for _, path := range programs {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".go"), func(t *testing.T) {
			fset := token.NewFileSet()
			file, err := parser.ParseFile(fset, path, nil, parser.ParseComments)
			check(t, err)
			want := wanted(fset, file)
			if len(want) != 1 && filepath.Base(path) != "good.go" {
				t.Errorf("%d errors wanted, want one mistake a program", len(want))
			}
			config := types.Config{
				Importer: importer.ForCompiler(fset, "gc", exports),
				Error: func(err error) {
					e := types.Error{}
					if !errors.As(err, &e) {
						t.Fatal(err)
					}
					line := fset.Position(e.Pos).Line
					if text, ok := want[line]; !ok || !strings.Contains(e.Msg, text) {
						t.Errorf("line %d: %s, want %q", line, e.Msg, want[line])
					}
					delete(want, line)
				},
			}
			_, _ = config.Check("neg", fset, []*ast.File{file}, nil) // config.Error gets each error
			for line, text := range want {
				t.Errorf("line %d compiles, want an error with %q", line, text)
			}
		})
	}
}

// wanted returns the expected error texts of a program, by line.
func wanted(fset *token.FileSet, file *ast.File) map[int]string {
	list := map[int]string{}
	for _, group := range file.Comments {
		for _, c := range group.List {
			if text, ok := strings.CutPrefix(c.Text, "// ERROR "); ok {
				list[fset.Position(c.Pos()).Line] = text
			}
		}
	}
	return list
}

// exportsOf returns a lookup of the export data of these packages and their dependencies. It needs
// only the module cache.
func exportsOf(t *testing.T, packages ...string) func(path string) (io.ReadCloser, error) {
	t.Helper()
	cmd := exec.Command("go", append([]string{"list", "-export", "-deps", "-f", "{{.ImportPath}}\t{{.Export}}"}, packages...)...)
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v: %s", cmd, err, said.String())
	}
	files := map[string]string{}
	for line := range strings.Lines(string(out)) {
		path, file, _ := strings.Cut(strings.TrimSpace(line), "\t")
		files[path] = file
	}
	return func(path string) (io.ReadCloser, error) {
		if files[path] == "" {
			return nil, fmt.Errorf("nothing is exported by %s", path)
		}
		return os.Open(files[path])
	}
}
