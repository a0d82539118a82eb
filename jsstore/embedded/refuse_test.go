package embedded_test

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/durable-execution/durable/jsstore/embedded"
)

// refused starts a server whose configuration is wrong, and returns the error.
func refused(t *testing.T, c embedded.Config) error {
	t.Helper()
	s, err := embedded.Start(t.Context(), c)
	if err == nil {
		_ = s.Close()
		t.Fatalf("start with %+v works", c)
	}
	return err
}

func TestTakenPortIsSaid(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	dir := t.TempDir()
	err = refused(t, embedded.Config{Dir: dir, Port: l.Addr().(*net.TCPAddr).Port})
	if !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("start on a taken port = %v, want EADDRINUSE", err)
	}
	for _, part := range []string{"start server in " + dir, l.Addr().String(), "another program has the port"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("error %q does not say %q", err, part)
		}
	}
	// The directory is free again.
	start(t, embedded.Config{Dir: dir})
}

func TestHostOfAnotherMachineIsSaid(t *testing.T) {
	// 192.0.2.0/24 belongs to nobody (RFC 5737).
	err := refused(t, embedded.Config{Dir: t.TempDir(), Host: "192.0.2.1", Port: -1})
	if !strings.Contains(err.Error(), "not an address of this machine") {
		t.Errorf("error %q does not say why", err)
	}
}

func TestFileAsDirectoryIsSaid(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{file, filepath.Join(file, "below")} {
		err := refused(t, embedded.Config{Dir: dir})
		if !strings.Contains(err.Error(), dir) || !strings.Contains(err.Error(), "is a file") {
			t.Errorf("error %q does not say that %s is a file", err, dir)
		}
	}
}

func TestSenselessConfigIsSaid(t *testing.T) {
	dir := t.TempDir()
	for want, c := range map[string]embedded.Config{
		"no directory":   {},
		"port 65536":     {Dir: dir, Port: 65536},
		"port -2":        {Dir: dir, Port: -2},
		"sync interval":  {Dir: dir, SyncInterval: time.Microsecond},
		"max payload -1": {Dir: dir, MaxPayload: -1},
		"max payload 3":  {Dir: dir, MaxPayload: 32 << 20},
	} {
		if err := refused(t, c); !strings.Contains(err.Error(), want) {
			t.Errorf("error %q does not say %q", err, want)
		}
	}
}
