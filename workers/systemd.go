package workers

import (
	"context"
	"fmt"
	"net"
	"os"
	"strconv"
	"time"
)

// NotifySystemd tells systemd the state of the executor until ctx ends, for a unit of
// Type=notify. It reports that the executor is ready once it claims executions; that it is
// alive, as long as Health returns nil, each second or, if WatchdogSec is less than 2 s, twice
// in WatchdogSec; and that it is stopping, when ctx ends. Call it in a goroutine of its own,
// with the context of Run. If NOTIFY_SOCKET is not in the environment, systemd does not
// expect notifications, and NotifySystemd returns nil at once. It returns an error if it can't
// reach systemd.
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
			state, ready = "WATCHDOG=1\nSTATUS=working", true
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
			return tell("STOPPING=1\nSTATUS=stopping: running attempts may finish")
		}
	}
}

// watchdogPause returns the time between two notifications: a second, or half of the watchdog's
// time if that is less.
func watchdogPause(microseconds string) time.Duration {
	n, err := strconv.ParseInt(microseconds, 10, 64)
	if err != nil || n <= 0 {
		return time.Second
	}
	return min(max(time.Duration(n)*time.Microsecond/2, 10*time.Millisecond), time.Second)
}
