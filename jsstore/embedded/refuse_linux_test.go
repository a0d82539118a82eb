package embedded_test

import (
	"errors"
	"io/fs"
	"os"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/durable-execution/durable/jsstore/embedded"
)

func TestUnwritableDirectoryIsSaid(t *testing.T) {
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o555); err != nil {
		t.Fatal(err)
	}
	if os.Getuid() == 0 {
		// Root may write anywhere. Take the right from this thread: Start opens
		// the directory on the goroutine that calls it.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		if err := syscall.Setfsuid(65534); err != nil {
			t.Skipf("become nobody: %v", err)
		}
		defer func() { _ = syscall.Setfsuid(0) }()
	}
	_, err := embedded.Start(t.Context(), embedded.Config{Dir: dir})
	if !errors.Is(err, fs.ErrPermission) {
		t.Fatalf("start in an unwritable directory = %v, want a permission error", err)
	}
	for _, part := range []string{dir, "this user may not write there"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("error %q does not say %q", err, part)
		}
	}
}
