package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/durable-execution/durable/engine"
)

func isPermanent(err error) bool {
	return engine.NewErred(engine.Execution{}, err, engine.Execution{}.CreatedAt, 0).Final
}

func TestCopiesMirrorTheAbsolutePath(t *testing.T) {
	dir, target := t.TempDir(), t.TempDir()
	write(t, dir, "a/x.txt", "one", "b/x.txt", "two")
	for _, name := range []string{"a/x.txt", "b/x.txt"} {
		path := filepath.Join(dir, name)
		c, err := copyFile(path, target, "upload-1", 0)
		if err != nil {
			t.Fatal(err)
		}
		if want := filepath.Join(target, path); c.path != want {
			t.Errorf("path = %s, want %s", c.path, want)
		}
		if got, err := os.ReadFile(c.path); err != nil || c.size != 3 || string(got) != map[string]string{"a": "one", "b": "two"}[name[:1]] {
			t.Errorf("copy of %s = %q, %v, size %d", name, got, err, c.size)
		}
	}
	if left, err := os.ReadDir(filepath.Join(target, partial)); err != nil || len(left) > 0 {
		t.Errorf("%s holds %v, %v, want nothing", partial, left, err)
	}
}

func TestNoLinkLeadsACopyOutOfTheTarget(t *testing.T) {
	dir, target, outside := t.TempDir(), t.TempDir(), t.TempDir()
	write(t, dir, "x.txt", "secret")
	place := filepath.Join(target, dir)
	if err := os.MkdirAll(filepath.Dir(place), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(outside, place); err != nil {
		t.Fatal(err)
	}
	if c, err := copyFile(filepath.Join(dir, "x.txt"), target, "upload-1", 0); err == nil {
		t.Errorf("copied to %s, want an error", c.path)
	}
	if found, err := os.ReadDir(outside); err != nil || len(found) > 0 {
		t.Errorf("outside of the target there is %v, %v", found, err)
	}
}

func TestACopyIsNeverSeenInPart(t *testing.T) {
	dir, target := t.TempDir(), t.TempDir()
	write(t, dir, "x.txt", strings.Repeat("x", 100))
	path := filepath.Join(dir, "x.txt")
	write(t, target, partial+"/upload-1.OLD", "left by a killed attempt", partial+"/upload-12.OLD", "another's")
	if _, err := copyFile(path, target, "upload-1", 0); err != nil {
		t.Fatal(err)
	}
	left, err := os.ReadDir(filepath.Join(target, partial))
	if err != nil || len(left) != 1 || left[0].Name() != "upload-12.OLD" {
		t.Errorf("%s holds %v, %v, want the other's only", partial, left, err)
	}
	// A file that grows past the limit makes the reader fail in the middle.
	root, err := os.OpenRoot(target)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	_, err = writePart(root, partial+"/y", &limited{strings.NewReader("0123456789"), 5, 5})
	if err == nil || !isPermanent(err) {
		t.Errorf("a file that grows past the limit: %v, want a permanent error", err)
	}
}

func TestOnlyTextHasTextToRead(t *testing.T) {
	dir := t.TempDir()
	write(t, dir,
		"text", "ok", "empty", "", "binary", "ab\x00", "late", strings.Repeat("x", binaryPrefix)+"\x00",
		"ten", "0123456789", "eleven", "01234567890")
	for name, want := range map[string]string{
		"text": "", "empty": "", "late": "", "ten": "",
		"binary": "binary file: byte 2 is NUL, so it is not text",
		"eleven": "too large: 11 B, the limit is 10 B (--max-size)",
		"gone":   "vanished: the file was there when the directory was listed",
		"text/x": "vanished: the file was there when the directory was listed",
		".":      "a directory, not a file",
	} {
		limit := int64(10)
		if name == "late" {
			limit = 0
		}
		_, err := readText(filepath.Join(dir, name), limit)
		if want == "" && err == nil {
			continue
		}
		if err == nil || err.Error() != want || !isPermanent(err) {
			t.Errorf("readText(%s) = %v, want %q, permanent", name, err, want)
		}
	}
	if err := unreadable(&fs.PathError{Op: "read", Path: "x", Err: errors.New("input/output error")}); isPermanent(err) {
		t.Errorf("%v is permanent: a disk may come back", err)
	}
}

func TestUploadURLsNameADirectoryOfThisMachine(t *testing.T) {
	for _, dir := range []string{"/tmp/a b", "/tmp/%41", "/tmp/\xff?#", "/"} {
		if got, err := directoryOf(fileURL(dir)); err != nil || got != dir {
			t.Errorf("directoryOf(%s) = %q, %v, want %q", fileURL(dir), got, err, dir)
		}
	}
	for _, bad := range []string{"https://example.com/upload", "file://elsewhere/tmp", "/tmp", "", "%"} {
		if got, err := directoryOf(bad); err == nil {
			t.Errorf("directoryOf(%q) = %q, want an error", bad, got)
		}
	}
}
