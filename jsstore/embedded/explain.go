package embedded

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"syscall"
)

// explain adds the most likely cause of err and a remedy, if they are known.
func explain(err error) error {
	cause := cause(err)
	if cause == "" {
		return err
	}
	return fmt.Errorf("%w: %s", err, cause)
}

func cause(err error) string {
	if listen := (*net.OpError)(nil); errors.As(err, &listen) {
		switch {
		case errors.Is(err, syscall.EADDRINUSE):
			return "another program has the port; choose another, or -1 for any that is free"
		case errors.Is(err, syscall.EADDRNOTAVAIL):
			return "the host is not an address of this machine"
		case errors.Is(err, fs.ErrPermission):
			return "ports below 1024 are for root; choose another"
		}
		return ""
	}
	switch {
	case errors.Is(err, syscall.ENOTDIR):
		return "the directory, or one above it, is a file"
	case errors.Is(err, syscall.EROFS):
		return "the file system is mounted read-only"
	case errors.Is(err, fs.ErrPermission):
		return "this user may not write there"
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return "the disk is full, or its quota is"
	}
	return ""
}
