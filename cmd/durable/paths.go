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

// pathReason says in words why nothing can be done with what is at a path.
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
		return errors.New("what is above it is a file, not a directory")
	case errors.Is(err, syscall.ELOOP):
		return errors.New("a link that leads to itself")
	}
	if inner := (*fs.PathError)(nil); errors.As(err, &inner) {
		return inner.Err
	}
	return err
}

// readFile returns what a path that a user has given leads to: a file, a pipe or a device,
// of so many bytes at most. What does not come is given up when ctx ends.
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
	go func() { // to open a pipe takes until somebody writes to it
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

// readAll reads so many bytes at most; more are an error.
func readAll(r io.Reader, most int64) ([]byte, error) {
	text, err := io.ReadAll(io.LimitReader(r, most+1))
	if err == nil && int64(len(text)) > most {
		return nil, fmt.Errorf("has more than %s", byteSize(most))
	}
	return text, err
}

// readArgument returns what an argument or a flag stands for: what is in a file, for
// @FILE, standard input, for -, or the text itself; and what that is called.
func (a *app) readArgument(ctx context.Context, name, arg string) (text []byte, what string, err error) {
	file, isFile := strings.CutPrefix(arg, "@")
	switch {
	case arg == "-", arg == "@-":
		what = "standard input"
		text, err = readAll(a.in, mostRead)
	case arg == "@":
		return nil, "", usage("@FILE names a file, - is standard input", "%s: @ names no file", name)
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

// mostCredential is more than a file of keys, certificates or credentials has.
const mostCredential = 1 << 20

// checkCredential says what is wrong with a file of keys or certificates, before anything
// reads it: the client reads it again with each connection, so that a pipe won't do.
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
// makes one if there is none.
func checkOutput(path string) error {
	info, err := os.Stat(path)
	switch {
	case path == "-":
		return fmt.Errorf("- is no file; ./- is one")
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

// checkDirectory says why a path can't be a directory that is there, or is to be made.
func checkDirectory(path string) error {
	info, err := os.Stat(path)
	switch {
	case err == nil && !info.IsDir():
		if kind := kindOf(info.Mode()); kind != "" {
			return fmt.Errorf("%s, not a directory", kind)
		}
		return errors.New("a file, not a directory")
	case errors.Is(err, fs.ErrNotExist):
		for at := path; at != filepath.Dir(at); at = filepath.Dir(at) { // what is above is made too
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
