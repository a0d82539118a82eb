package embedded_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/durable-execution/durable/jsstore/embedded"
)

// deadline is much longer than any step here takes, and ends before go test does.
func deadline(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// childDir is set in the child processes that these tests start.
const childDir = "EMBEDDED_CHILD_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		if err := child(dir); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// child opens dir and puts keys for ever. It prints each key that is acknowledged. It closes
// the server and ends when its standard input ends.
func child(dir string) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	s, err := embedded.Start(ctx, embedded.Config{Dir: dir, Port: -1, SyncInterval: rarely})
	if err != nil {
		return err
	}
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		cancel()
	}()
	nc, err := s.Connect()
	if err != nil {
		return err
	}
	js, err := jetstream.New(nc)
	if err != nil {
		return err
	}
	kv, err := js.CreateOrUpdateKeyValue(ctx, jetstream.KeyValueConfig{Bucket: "b"})
	if err != nil {
		return err
	}
	fmt.Println(s.URL())
	for i := 0; ctx.Err() == nil; i++ {
		key := fmt.Sprintf("k%d", i)
		if _, err := kv.Create(ctx, key, []byte(key)); err != nil {
			break
		}
		fmt.Println(key)
	}
	return s.Close()
}

// A process is a child process that has a directory open.
type process struct {
	*exec.Cmd
	url   string
	said  *bufio.Scanner
	stdin io.Closer
}

// other starts a process on dir, and returns once that process writes.
func other(t *testing.T, dir string) *process {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), childDir+"="+dir)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p := &process{cmd, "", bufio.NewScanner(out), in}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	p.url = p.next(t)
	if !strings.HasPrefix(p.url, "nats://") {
		t.Fatalf("the other process says %q, want a URL", p.url)
	}
	return p
}

func (p *process) next(t *testing.T) string {
	t.Helper()
	if !p.said.Scan() {
		t.Fatalf("the other process fell silent: %v", p.said.Err())
	}
	return p.said.Text()
}

func TestDirectoryInUseByThisProcess(t *testing.T) {
	dir := t.TempDir()
	s := start(t, embedded.Config{Dir: dir, Port: -1, SyncAlways: true})
	wantInUse(t, embedded.InUseError{Dir: dir, URL: s.URL(), PID: os.Getpid(), Sync: embedded.Config{Dir: dir, SyncAlways: true}.Sync()})
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}

	start(t, embedded.Config{Dir: dir})
	wantInUse(t, embedded.InUseError{Dir: dir, PID: os.Getpid()})
}

func TestDirectoryInUseByAnotherProcess(t *testing.T) {
	dir := t.TempDir()
	p := other(t, dir)
	wantInUse(t, embedded.InUseError{Dir: dir, URL: p.url, PID: p.Process.Pid, Sync: embedded.Config{Dir: dir, SyncInterval: rarely}.Sync()})

	// When it closes, no file names it any more.
	_ = p.stdin.Close()
	for p.said.Scan() {
	}
	if err := p.Wait(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "server.json")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("server.json after a close: %v, want none", err)
	}
	start(t, embedded.Config{Dir: dir})
}

func wantInUse(t *testing.T, want embedded.InUseError) {
	t.Helper()
	var got *embedded.InUseError
	if err := refused(t, embedded.Config{Dir: want.Dir}); !errors.As(err, &got) {
		t.Fatalf("second start = %v, want an InUseError", err)
	}
	if *got != want {
		t.Errorf("second start = %+v, want %+v", *got, want)
	}
	for _, part := range []string{want.Dir, fmt.Sprint(want.PID), want.URL} {
		if !strings.Contains(got.Error(), part) {
			t.Errorf("error %q does not say %q", got, part)
		}
	}
}

func TestKilledOwnerLosesNothingAndIsFollowed(t *testing.T) {
	dir := t.TempDir()
	p := other(t, dir)
	var acknowledged []string
	for range 500 {
		acknowledged = append(acknowledged, p.next(t))
	}
	if err := p.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	for p.said.Scan() { // keys that it printed before it was killed count too
		acknowledged = append(acknowledged, p.said.Text())
	}
	_ = p.Wait()
	if _, err := os.Stat(filepath.Join(dir, "server.json")); err != nil {
		t.Errorf("the killed owner left no server.json: %v", err)
	}

	s := start(t, embedded.Config{Dir: dir})
	kv := bucket(t, s)
	for _, key := range acknowledged {
		if _, err := kv.Get(t.Context(), key); err != nil {
			t.Errorf("%s was acknowledged: %v", key, err)
		}
	}
	// The announcement of the killed owner is no longer valid.
	wantInUse(t, embedded.InUseError{Dir: dir, PID: os.Getpid()})
}
