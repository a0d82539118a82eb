//go:build unix

package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// kinds creates one path of each kind in a directory. The regular file has the given content.
func kinds(t *testing.T, content string) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "paths-") // short: the path of a socket must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	write(t, dir, "file", content, "dir/inner.txt", content, "empty/sub/x", "")
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	check(os.Remove(filepath.Join(dir, "empty/sub/x")))
	check(syscall.Mkfifo(filepath.Join(dir, "fifo"), 0o644))
	for link, target := range map[string]string{"link": "file", "dirlink": "dir", "dangling": "nowhere", "loop": "loop"} {
		check(os.Symlink(target, filepath.Join(dir, link)))
	}
	huge := filepath.Join(dir, "huge")
	check(os.WriteFile(huge, nil, 0o644))
	check(os.Truncate(huge, 1<<40))
	l, err := net.Listen("unix", filepath.Join(dir, "socket"))
	check(err)
	t.Cleanup(func() { _ = l.Close() })
	return dir
}

// TestPathsOfEveryKind passes every kind of path to every argument that takes one. No command
// may block, fill the memory, or report only the system's error text.
func TestPathsOfEveryKind(t *testing.T) {
	dir := kinds(t, `{"name":"x"}`)
	store := working(t)
	const dangling, missing, directory = "a link to nowhere, which does not exist", "no such file or directory", "a directory, not a file"
	inputs := map[string]string{ // the error for each as an input
		"file": "", "link": "", "dir": directory, "dirlink": directory, "dangling": dangling, "loop": "a link that points to itself",
		"missing": missing, "socket": "a socket, not a file", "huge": "has more than 64 MiB", "/dev/zero": "has more than 64 MiB", "/dev/null": "is empty", "file/x": "a file, not a directory",
	}
	for name, says := range inputs {
		path := name
		if !filepath.IsAbs(name) {
			path = filepath.Join(dir, name)
		}
		o := durable(t, "enqueue", "greet", "@"+path, "--dir", store)
		if (o.code == exitOK) != (says == "") || o.code != exitOK && o.code != exitUsage || !strings.Contains(o.err, says) {
			t.Errorf("enqueue @%s: exit code %d, stderr %q, want %q", name, o.code, o.err, says)
		}
		for _, line := range []string{"wake x --output @PATH", "retry x --input @PATH"} {
			args := append(strings.Fields(strings.ReplaceAll(line, "PATH", path)), "--dir", store)
			if o := durable(t, args...); says != "" && (o.code != exitUsage || !strings.Contains(o.err, says)) || says == "" && o.code != exitNotFound {
				t.Errorf("%s with %s: exit code %d, stderr %q, want %q", line, name, o.code, o.err, says)
			}
		}
		if says == "" || says == "is empty" || strings.HasPrefix(says, "has more than") {
			continue
		}
		if o := durable(t, "history", path).want(t, exitUsage); !strings.Contains(o.err, says) {
			t.Errorf("history %s: %q, want %q", name, o.err, says)
		}
	}
	for name, says := range map[string]string{
		"dir": directory, "dirlink": directory, "dangling": dangling, "missing": missing, "fifo": "a named pipe, not a file", "socket": "a socket, not a file",
		"huge": "has more than 1 MiB", "/dev/zero": "a device, not a file", "file": "", // which is no credential
	} {
		path := name
		if !filepath.IsAbs(name) {
			path = filepath.Join(dir, name)
		}
		for _, flag := range []string{"creds", "tlsca", "nkey", "context"} {
			args := []string{"list", "--" + flag, path}
			if flag != "context" {
				args = append(args, "--server", "nats://127.0.0.1:1")
			}
			if o := durable(t, args...); says != "" && flag != "nkey" && o.code != exitUsage || !strings.Contains(o.err, says) {
				t.Errorf("--%s %s: exit code %d, stderr %q, want %q", flag, name, o.code, o.err, says)
			}
		}
	}
	for name, says := range map[string]string{
		"file": "a file, not a directory", "link": "a file, not a directory", "dangling": dangling, "dangling/x": dangling, "fifo": "a named pipe, not a directory",
		"/dev/null": "a device, not a directory", "file/x": "a file, not a directory", "loop": "a link that points to itself",
	} {
		path := name
		if !filepath.IsAbs(name) {
			path = filepath.Join(dir, name)
		}
		for _, args := range [][]string{{"list", "--dir", path}, {"dev", "--dir", path}, {"demo", "--dir", path, dir}, {"demo", "--dir", filepath.Join(t.TempDir(), "s"), "--target", path, dir}} {
			if o := durable(t, args...); o.code != exitStore || !strings.Contains(o.err, says) {
				t.Errorf("%v: exit code %d, stderr %q, want %q", args, o.code, o.err, says)
			}
		}
	}
	for name, says := range map[string]string{"dir": directory, "fifo": "a named pipe, not a file", "missing/x": missing, "-": "- means standard output"} {
		path := name
		if name != "-" {
			path = filepath.Join(dir, name)
		}
		for _, flag := range []string{"--html", "--cpu-profile"} { // the check comes before any measuring
			if o := durable(t, "bench", "throughput", flag, path, "--embedded").want(t, exitUsage); !strings.Contains(o.err, says) {
				t.Errorf("bench %s %s: %q, want %q", flag, name, o.err, says)
			}
		}
	}
	if o := durable(t, "serve", "--index", filepath.Join(dir, "fifo"), "--dir", store).want(t, exitUsage); !strings.Contains(o.err, "a named pipe, not a file") {
		t.Errorf("serve --index FIFO: %q", o.err)
	}
	durable(t, "enqueue", "greet", "@", "--dir", store).want(t, exitUsage)
	if o := typing(t.Context(), `{"name":"stdin"}`, "enqueue", "greet", "@-", "--wait", "--dir", store).want(t, exitOK); o.out != "\"hello stdin\"\n" {
		t.Errorf("enqueue @- prints %q", o.out)
	}
}

func TestAPipeIsReadAndAnIdleOneIsGivenUp(t *testing.T) {
	dir, store := kinds(t, ""), working(t)
	fifo := filepath.Join(dir, "fifo")
	go func() {
		f, err := os.OpenFile(fifo, os.O_WRONLY, 0)
		if err == nil {
			_, err = fmt.Fprint(f, `{"name":"pipe"}`)
			_ = f.Close()
		}
		if err != nil {
			t.Error(err)
		}
	}()
	if o := durable(t, "enqueue", "greet", "@"+fifo, "--wait", "--dir", store).want(t, exitOK); o.out != "\"hello pipe\"\n" {
		t.Errorf("stdout %q", o.out)
	}
	ctx, interrupt := context.WithCancel(t.Context())
	ended := make(chan outcome, 1)
	go func() { ended <- durableIn(ctx, screen{}, "enqueue", "greet", "@"+fifo, "--dir", store) }()
	interrupt() // before the command waits for a writer, or meanwhile
	(<-ended).want(t, exitInterrupted)
}

func TestTheDemoFollowsALinkToADirectory(t *testing.T) {
	dir, store := kinds(t, "some words\n"), filepath.Join(t.TempDir(), "store")
	if o := durable(t, "demo", "--dir", store, filepath.Join(dir, "dirlink")).want(t, exitOK); !strings.Contains(o.out, "1 of 1 file completed") {
		t.Errorf("demo LINK prints\n%s%s", o.out, o.err)
	}
	// Another path to the same file gives the same execution.
	if o := durable(t, "demo", "--dir", store, filepath.Join(dir, "dir"), filepath.Join(dir, "dirlink")).want(t, exitOK); !strings.Contains(o.out, "1 of 1 file completed, all of them in an earlier run") {
		t.Errorf("demo DIR LINK prints\n%s%s", o.out, o.err)
	}
	o := durable(t, "demo", "--dir", store, filepath.Join(dir, "empty")).want(t, exitUsage)
	if want := "durable: there are no files in " + filepath.Join(dir, "empty") + "\n"; !strings.HasPrefix(o.err, want) {
		t.Errorf("stderr %q, want %q", o.err, want)
	}
	for arg, says := range map[string]string{
		filepath.Join(dir, "dangling"): "a link to nowhere, which does not exist", filepath.Join(dir, "loop"): "a link that points to itself",
		filepath.Join(dir, "missing"): "no such file or directory", filepath.Join(dir, "fifo"): "a named pipe, not a file", "/dev/zero": "a device, not a file", "-": "the demo does not read standard input",
		filepath.Join(dir, "socket"): "a socket, not a file",
	} {
		if o := durable(t, "demo", "--dir", store, arg).want(t, exitIncomplete); !strings.Contains(o.out, "refused  ") || !strings.Contains(o.out, says) {
			t.Errorf("demo %s prints\n%s, want %q", arg, o.out, says)
		}
	}
	if o := durable(t, "demo", "--dir", store, filepath.Join(dir, "huge")).want(t, exitIncomplete); !strings.Contains(o.out, "too large: 1 TiB") {
		t.Errorf("demo HUGE prints\n%s", o.out)
	}
}
