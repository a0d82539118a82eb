package embedded

import (
	"errors"
	"io/fs"
	"syscall"
	"testing"
)

// These errors can be provoked only with a disk of its own.
func TestTroubleWithTheDiskIsExplained(t *testing.T) {
	for errno, want := range map[syscall.Errno]string{
		syscall.ENOSPC: "write /d/lock: no space left on device: the disk is full, or its quota is",
		syscall.EROFS:  "write /d/lock: read-only file system: the file system is mounted read-only",
		syscall.EIO:    "write /d/lock: input/output error",
	} {
		err := explain(&fs.PathError{Op: "write", Path: "/d/lock", Err: errno})
		if err.Error() != want {
			t.Errorf("got %q, want %q", err, want)
		}
		if !errors.Is(err, errno) {
			t.Errorf("%q does not wrap its cause", err)
		}
	}
}
