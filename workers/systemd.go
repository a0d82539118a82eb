package workers

import (
	"context"
	"fmt"
	"net"
	"os"
	"strconv"
	"time"
)

// NotifySystemd tells systemd how the executor fares, until ctx ends, for a unit of
// Type=notify: that it is ready, when it claims; that it is alive, each second or
// twice in WatchdogSec if that is less than 2 s, for as long as Health is nil; and that it stops, when ctx ends. It is
// to be run beside Run, with the same context. Without systemd, which is known by
// NOTIFY_SOCKET in the environment, it returns nil at once. An error says that systemd
// can't be told.
func (x *Executor) NotifySystemd(ctx context.Context) error {
	path := os.Getenv("NOTIFY_SOCKET")
	if path == "" {
		return nil
	}
	if path[0] == '@' {
		path = "\x00" + path[1:] // an abstract socket
	}
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		return fmt.Errorf("notify systemd: %w", err)
	}
	defer conn.Close()
	tell := func(state string) error {
		if _, err := conn.Write([]byte(state)); err != nil {
			return fmt.Errorf("notify systemd: %w", err)
		}
		return nil
	}
	tick := time.NewTicker(watchdogPause(os.Getenv("WATCHDOG_USEC")))
	defer tick.Stop()
	ready := false
	for {
		state := ""
		if err := x.Health(); err != nil {
			state = "STATUS=" + err.Error()
		} else {
			state, ready = "WATCHDOG=1\nSTATUS=at work", true
		}
		if ready {
			state = "READY=1\n" + state
		}
		if err := tell(state); err != nil {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return tell("STOPPING=1\nSTATUS=running attempts come to their end")
		}
	}
}

// watchdogPause is how often systemd is told: each second, or twice in the watchdog's time
// if that is less than 2 s.
func watchdogPause(microseconds string) time.Duration {
	n, err := strconv.ParseInt(microseconds, 10, 64)
	if err != nil || n <= 0 {
		return time.Second
	}
	return min(max(time.Duration(n)*time.Microsecond/2, 10*time.Millisecond), time.Second)
}
