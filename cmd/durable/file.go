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

// openFile opens a regular file for reading. It refuses anything else: opening a fifo would
// block, and opening a device may have effects. It marks an error as permanent if a retry
// can't help.
func openFile(path string, maxSize int64) (*os.File, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, unreadable(err)
	}
	if err := takes(info, maxSize); err != nil {
		return nil, engine.Permanent(err)
	}
	// The file may have become a fifo since: don't block in that case either.
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

// takes returns an error if the kind or the size of a file forbids its upload.
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

// kindOf names the kind of a file, such as "a directory". It is empty for a regular file.
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

// unreadable returns a plain error for a file that can't be read.
func unreadable(err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR):
		return engine.Permanent(errors.New("vanished: the file was there when the directory was listed"))
	case errors.Is(err, fs.ErrPermission):
		return engine.Permanent(errors.New("unreadable: permission denied"))
	}
	return fmt.Errorf("unreadable: %w", err)
}

// A limited reads from a file, and fails if the file grows beyond the limit meanwhile.
type limited struct {
	r    io.Reader
	left int64 // bytes that may still follow
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

// binaryPrefix is how many bytes of a file readText checks for a NUL to tell whether the file
// is text, as git does.
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

// A copied describes a finished copy.
type copied struct {
	path   string
	size   int64
	sha256 string
}

// partial is the directory of unfinished copies.
const partial = ".partial"

// copyFile copies a file to the path below dir that [placeOf] returns. The copy appears there
// only once it is complete and on the disk. No link can lead it out of dir.
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
	// Each attempt has a name of its own: an earlier attempt that was given up may still write.
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

// sweep removes the unfinished copies of attempts that died.
func sweep(dir, prefix string) {
	left, _ := os.ReadDir(dir) // a leftover does no harm
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
	// The record will say that the file was uploaded, so the copy must be on the disk first.
	return size, errors.Join(err, out.Sync(), out.Close())
}

// placeOf returns the path of a copy below the target directory: the absolute path of the
// original, so that no two files have the same copy.
func placeOf(path string) string {
	volume := filepath.VolumeName(path)
	return filepath.Join(strings.ReplaceAll(volume, ":", ""), strings.TrimLeft(path[len(volume):], `/\`))
}
