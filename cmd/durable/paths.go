package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/durable-execution/durable/codec"
)

// pathReason returns a plain error for an error from opening or examining a path.
func pathReason(path string, err error) error {
	target, link := os.Readlink(path)
	switch {
	case errors.Is(err, fs.ErrNotExist) && link == nil:
		return fmt.Errorf("a link to %s, which does not exist", printable(target))
	case errors.Is(err, fs.ErrNotExist):
		return errors.New("no such file or directory")
	case errors.Is(err, fs.ErrPermission):
		return errors.New("permission denied")
	case errors.Is(err, syscall.ENOTDIR):
		return errors.New("a parent of this path is a file, not a directory")
	case errors.Is(err, syscall.ELOOP):
		return errors.New("a link that points to itself")
	}
	if inner := (*fs.PathError)(nil); errors.As(err, &inner) {
		return inner.Err
	}
	return err
}

// readFile reads a file, a pipe or a device whose path a user gave. More than most bytes are
// an error. It stops waiting when ctx ends: a pipe may have no writer.
func readFile(ctx context.Context, path string, most int64) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, pathReason(path, err)
	}
	switch {
	case info.IsDir(), info.Mode()&fs.ModeSocket != 0:
		return nil, fmt.Errorf("%s, not a file", kindOf(info.Mode()))
	case info.Mode().IsRegular() && info.Size() > most:
		return nil, fmt.Errorf("has more than %s", byteSize(most))
	}
	type content struct {
		text []byte
		err  error
	}
	read := make(chan content, 1)
	go func() { // opening a pipe blocks until another process opens it for writing
		f, err := os.Open(path)
		if err != nil {
			read <- content{nil, pathReason(path, err)}
			return
		}
		defer f.Close()
		text, err := readAll(f, most)
		read <- content{text, err}
	}()
	select {
	case c := <-read:
		return c.text, c.err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// readAll reads everything. It returns an error if there are more than most bytes.
func readAll(r io.Reader, most int64) ([]byte, error) {
	text, err := io.ReadAll(io.LimitReader(r, most+1))
	if err == nil && int64(len(text)) > most {
		return nil, fmt.Errorf("has more than %s", byteSize(most))
	}
	return text, err
}

// readArgument returns the text that an argument or a flag stands for: the content of a file
// for @FILE, standard input for -, and otherwise the argument itself. It also returns what to
// call the source in an error.
func (a *app) readArgument(ctx context.Context, name, arg string) (text []byte, what string, err error) {
	file, isFile := strings.CutPrefix(arg, "@")
	switch {
	case arg == "-", arg == "@-":
		what = "standard input"
		text, err = readAll(a.in, mostRead)
	case arg == "@":
		return nil, "", usage("use @FILE for a file, or - for standard input", "%s: the file name after @ is missing", name)
	case isFile:
		what = file
		text, err = readFile(ctx, file, mostRead)
	default:
		return []byte(arg), name, nil
	}
	switch {
	case ctx.Err() != nil:
		return nil, "", context.Cause(ctx)
	case err != nil:
		return nil, "", usage("", "read %s: %s: %w", name, printable(what), err)
	}
	return text, what, nil
}

// readJSON is [app.readArgument] for a value in JSON.
func (a *app) readJSON(ctx context.Context, name, arg string) (codec.Payload, error) {
	text, what, err := a.readArgument(ctx, name, arg)
	if err != nil {
		return codec.Payload{}, err
	}
	return jsonInput(what, text)
}

// mostCredential is the greatest size in bytes of a file with keys, certificates or
// credentials; real ones are far smaller.
const mostCredential = 1 << 20

// checkCredential says what is wrong with a file of keys or certificates before anything
// reads it. A pipe is refused, because nats.go reads the file again for each connection.
func checkCredential(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return pathReason(path, err)
	}
	if kind := kindOf(info.Mode()); kind != "" {
		return fmt.Errorf("%s, not a file", kind)
	}
	if info.Size() > mostCredential {
		return fmt.Errorf("has more than %s", byteSize(mostCredential))
	}
	f, err := os.Open(path)
	if err != nil {
		return pathReason(path, err)
	}
	return f.Close()
}

// checkOutput says why a file can't be written, before there is anything to write. It
// creates the file if it is missing.
func checkOutput(path string) error {
	info, err := os.Stat(path)
	switch {
	case path == "-":
		return fmt.Errorf("- means standard output, not a file; ./- names a file")
	case err == nil && info.IsDir(), err == nil && info.Mode()&(fs.ModeSocket|fs.ModeNamedPipe) != 0:
		return fmt.Errorf("%s, not a file", kindOf(info.Mode()))
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return pathReason(path, err)
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE, 0o644)
	if err != nil {
		return pathReason(path, err)
	}
	return f.Close()
}

// checkDirectory says why a path is not, and can't become, a directory.
func checkDirectory(path string) error {
	info, err := os.Stat(path)
	switch {
	case err == nil && !info.IsDir():
		if kind := kindOf(info.Mode()); kind != "" {
			return fmt.Errorf("%s, not a directory", kind)
		}
		return errors.New("a file, not a directory")
	case errors.Is(err, fs.ErrNotExist):
		for at := path; at != filepath.Dir(at); at = filepath.Dir(at) { // missing parents are created too
			if _, err := os.Lstat(at); err == nil {
				if _, err = os.Stat(at); err != nil {
					return pathReason(at, err)
				}
				return nil
			}
		}
		return nil
	case err != nil:
		return pathReason(path, err)
	}
	return nil
}
