package main

import (
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// A file is a file for the demo to upload.
type file struct {
	path string // absolute
	info fs.FileInfo
}

// A refusal is a path that can't be uploaded, and why.
type refusal struct{ path, reason string }

// inputs are the files to upload, each once, in the order of their paths.
type inputs struct {
	files    []file
	refused  []refusal
	skipped  int             // directory entries that are not regular files
	from     string          // the directory that collect searched because there were no arguments
	seen     map[string]bool // paths that are in files or refused
	excluded []string        // directories to skip
}

// collect finds the files that args name or, without args, the files of the project around the
// working directory. It skips the excluded directories, which belong to the demo itself.
func collect(args []string, excluded ...string) (*inputs, error) {
	in := &inputs{seen: map[string]bool{}, excluded: excluded}
	for _, dir := range excluded {
		if real, err := filepath.EvalSymlinks(dir); err == nil {
			in.excluded = append(in.excluded, real)
		}
	}
	wd, err := os.Getwd()
	if err != nil {
		return nil, err
	}
	if len(args) == 0 {
		dir := projectOf(wd)
		in.from = dir
		in.walk(dir, func(name string) bool { return strings.HasSuffix(name, ".go") || strings.HasSuffix(name, ".md") })
		if len(in.files)+len(in.refused) == 0 {
			return nil, usage("name files or directories: durable demo FILE|DIR ...", "there are no *.go or *.md files in %s", dir)
		}
	}
	for _, arg := range args {
		if arg == "-" {
			in.refuse(arg, errors.New("the demo does not read standard input; ./- names a file"))
			continue
		}
		path := arg
		if !filepath.IsAbs(path) {
			path = filepath.Join(wd, path)
		}
		in.add(filepath.Clean(path))
	}
	if len(in.files)+len(in.refused) == 0 {
		return nil, usage("name files, or directories that contain files", "there are no files in %s", strings.Join(args, ", "))
	}
	slices.SortFunc(in.files, func(x, y file) int { return strings.Compare(x.path, y.path) })
	return in, nil
}

// projectOf returns the root of the Go module that dir is in, or dir if it is in none.
func projectOf(dir string) string {
	for d := dir; ; {
		if _, err := os.Stat(filepath.Join(d, "go.mod")); err == nil {
			return d
		}
		up := filepath.Dir(d)
		if up == d {
			return dir
		}
		d = up
	}
}

// add takes the file, or the files of the directory, at an absolute path. It follows links, and
// resolves a link to a directory, so that its files have the same paths either way.
func (in *inputs) add(path string) {
	info, err := os.Stat(path)
	dir := path
	if err == nil && info.IsDir() {
		dir, err = filepath.EvalSymlinks(path)
	}
	switch {
	case err != nil:
		in.refuse(path, err)
	case info.IsDir():
		in.walk(dir, func(string) bool { return true })
	case !info.Mode().IsRegular():
		in.refuse(path, fmt.Errorf("%s, not a file", kindOf(info.Mode())))
	default:
		in.take(path, info)
	}
}

// walk takes the files below dir whose names match. It skips links, and directories whose
// names begin with a dot.
func (in *inputs) walk(dir string, match func(name string) bool) {
	_ = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			in.refuse(path, err)
			if d != nil && d.IsDir() {
				return fs.SkipDir
			}
		case d.IsDir():
			if path != dir && (strings.HasPrefix(d.Name(), ".") || slices.Contains(in.excluded, path)) {
				return fs.SkipDir
			}
		case !match(d.Name()):
		case !d.Type().IsRegular():
			in.skipped++
		default:
			info, err := d.Info()
			if err != nil {
				in.refuse(path, err)
				return nil
			}
			in.take(path, info)
		}
		return nil
	})
}

func (in *inputs) take(path string, info fs.FileInfo) {
	if !in.seen[path] {
		in.seen[path] = true
		in.files = append(in.files, file{path, info})
	}
}

func (in *inputs) refuse(path string, err error) {
	reason := pathReason(path, err).Error()
	if errors.Is(err, fs.ErrPermission) {
		reason = "unreadable: permission denied"
	}
	if !in.seen[path] {
		in.seen[path] = true
		in.refused = append(in.refused, refusal{path, reason})
	}
}

var base32hex = base32.NewEncoding("0123456789abcdefghijklmnopqrstuv").WithPadding(base32.NoPadding)

// idOf derives the id of a file's execution from the file's path, size and modification
// time and from the target directory: if one of them changes, it is another execution.
func idOf(f file, target string) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s\x00%d\x00%d\x00%s", f.path, f.info.Size(), f.info.ModTime().UnixNano(), target))
	return "upload-" + base32hex.EncodeToString(sum[:16])
}
