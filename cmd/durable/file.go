package main

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/durable-execution/durable/engine"
)

// openFile opens a regular file for reading. Nothing else is opened: a fifo
// would block, and a device may do something. What another attempt can't mend is
// marked as permanent.
func openFile(path string, maxSize int64) (*os.File, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, unreadable(err)
	}
	if err := takes(info, maxSize); err != nil {
		return nil, engine.Permanent(err)
	}
	// It may have become a fifo since: do not block in that case either.
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, unreadable(err)
	}
	if info, err = f.Stat(); err == nil {
		err = takes(info, maxSize)
	}
	if err != nil {
		f.Close()
		return nil, engine.Permanent(err)
	}
	return f, nil
}

// takes says what keeps a file from being uploaded, whatever it holds.
func takes(info fs.FileInfo, maxSize int64) error {
	if kind := kindOf(info.Mode()); kind != "" {
		return fmt.Errorf("%s, not a file", kind)
	}
	if maxSize > 0 && info.Size() > maxSize {
		return tooLarge(byteSize(info.Size()), maxSize)
	}
	return nil
}

func tooLarge(size string, maxSize int64) error {
	return fmt.Errorf("too large: %s, the limit is %s (--max-size)", size, byteSize(maxSize))
}

// kindOf names what is no regular file; it is empty for one.
func kindOf(m fs.FileMode) string {
	switch {
	case m.IsRegular():
		return ""
	case m.IsDir():
		return "a directory"
	case m&fs.ModeNamedPipe != 0:
		return "a named pipe"
	case m&fs.ModeSocket != 0:
		return "a socket"
	case m&fs.ModeDevice != 0:
		return "a device"
	case m&fs.ModeSymlink != 0:
		return "a symbolic link"
	}
	return "something special"
}

// unreadable says in words why a file can't be read.
func unreadable(err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR):
		return engine.Permanent(errors.New("vanished: the file was there when the directory was listed"))
	case errors.Is(err, fs.ErrPermission):
		return engine.Permanent(errors.New("unreadable: permission denied"))
	}
	return fmt.Errorf("unreadable: %w", err)
}

// limited reads from a file that may grow while it is read.
type limited struct {
	r    io.Reader
	left int64 // how much more it may hold
	max  int64
}

func (l *limited) Read(p []byte) (int, error) {
	n, err := l.r.Read(p)
	if l.left -= int64(n); l.max > 0 && l.left < 0 {
		return 0, engine.Permanent(tooLarge("the file grew while it was read", l.max))
	}
	if err != nil && err != io.EOF {
		err = unreadable(err)
	}
	return n, err
}

// binaryPrefix is how much of a file is looked at to tell whether it is text, as
// git does it.
const binaryPrefix = 8 << 10

// readText returns the content of a file, if it is text.
func readText(path string, maxSize int64) ([]byte, error) {
	f, err := openFile(path, maxSize)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(&limited{f, maxSize, maxSize})
	if err != nil {
		return nil, err
	}
	if i := bytes.IndexByte(text[:min(len(text), binaryPrefix)], 0); i >= 0 {
		return nil, engine.Permanent(fmt.Errorf("binary file: byte %d is NUL, so it is not text", i))
	}
	return text, nil
}

// A copied is a copy that has been made.
type copied struct {
	path   string
	size   int64
	sha256 string
}

// partial is where copies are until they are whole.
const partial = ".partial"

// copyFile copies a file to its place below dir, which nobody sees before it is
// whole and on the disk. No path leads out of dir, by whatever links.
func copyFile(path, dir, execution string, maxSize int64) (copied, error) {
	in, err := openFile(path, maxSize)
	if err != nil {
		return copied{}, err
	}
	defer in.Close()
	if err := os.MkdirAll(filepath.Join(dir, partial), 0o755); err != nil {
		return copied{}, err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return copied{}, err
	}
	defer root.Close()
	place := placeOf(path)
	if err := root.MkdirAll(filepath.Dir(place), 0o755); err != nil {
		return copied{}, err
	}
	sweep(filepath.Join(dir, partial), execution+".")
	// The name is this attempt's own: one that was given up may still write.
	part := filepath.Join(partial, execution+"."+rand.Text())
	digest := sha256.New()
	size, err := writePart(root, part, io.TeeReader(&limited{in, maxSize, maxSize}, digest))
	if err == nil {
		err = root.Rename(part, place)
	}
	if err != nil {
		_ = root.Remove(part)
		return copied{}, err
	}
	return copied{filepath.Join(dir, place), size, hex.EncodeToString(digest.Sum(nil))}, nil
}

// sweep removes what attempts that died have left behind.
func sweep(dir, prefix string) {
	left, _ := os.ReadDir(dir) // nothing depends on it
	for _, l := range left {
		if strings.HasPrefix(l.Name(), prefix) {
			_ = os.Remove(filepath.Join(dir, l.Name()))
		}
	}
}

func writePart(root *os.Root, part string, r io.Reader) (int64, error) {
	out, err := root.OpenFile(part, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return 0, err
	}
	size, err := io.Copy(out, r)
	// What is recorded as uploaded must be on the disk.
	return size, errors.Join(err, out.Sync(), out.Close())
}

// placeOf is where below the target directory the copy of an absolute path goes:
// at the same path, so that no two files can meet.
func placeOf(path string) string {
	volume := filepath.VolumeName(path)
	return filepath.Join(strings.ReplaceAll(volume, ":", ""), strings.TrimLeft(path[len(volume):], `/\`))
}
