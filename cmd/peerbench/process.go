package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

// A service is the server that a peer needs, started for one row.
type service struct {
	Address string // where the client connects to
	Dir     string // the directory of its files, and of the client's, if that stores files itself
	Pids    []int  // its processes; CPU time is measured for them and their descendants
	Version string
	stop    func() error
}

// notInstalled is an error: it names a program that this machine lacks, and its source.
type notInstalled string

func (n notInstalled) Error() string { return string(n) }

// stopTime is how long a service may take to end before it is killed.
const stopTime = 20 * time.Second

// start runs a program until stop is called or this process ends. In the latter case the kernel
// kills the program: its parent death signal belongs to the thread of main, which lives as long as
// the process. The program's output goes to log.
func start(log string, credential *syscall.Credential, end syscall.Signal, name string, args ...string) (pid int, stop func() error, err error) {
	out, err := os.Create(log)
	if err != nil {
		return 0, nil, err
	}
	defer out.Close()
	cmd := exec.Command(name, args...)
	cmd.Dir = filepath.Dir(log)
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: end, Credential: credential, Setpgid: true}
	if err := cmd.Start(); err != nil {
		return 0, nil, fmt.Errorf("start %s: %w", name, err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	return cmd.Process.Pid, func() error {
		if err := cmd.Process.Signal(end); err != nil && !errors.Is(err, os.ErrProcessDone) {
			return err
		}
		select {
		case <-ended:
			return nil
		case <-time.After(stopTime):
			err := cmd.Process.Kill()
			<-ended
			return errors.Join(fmt.Errorf("%s had to be killed, since it had not ended %s after it was asked to", filepath.Base(name), stopTime), err)
		}
	}, nil
}

// ready waits until ask returns nil. If that does not happen, its error has the program's output.
func ready(ctx context.Context, pid int, log string, ask func(context.Context) error) error {
	ctx, stop := context.WithTimeout(ctx, time.Minute)
	defer stop()
	var last error
	err := until(ctx, 50*time.Millisecond, func() (bool, error) {
		if last = ask(ctx); last == nil {
			return true, nil
		}
		if state(pid) == "Z" || state(pid) == "" {
			return false, errors.New("it has ended")
		}
		return false, nil
	})
	if err == nil {
		return nil
	}
	return fmt.Errorf("wait for the service: %w; %w; it printed: %s", err, last, tail(log))
}

// state returns the letter for the state of a process in /proc.
func state(pid int) string {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return ""
	}
	_, rest, _ := bytes.Cut(text, []byte(") "))
	return string(rest[:min(1, len(rest))])
}

func tail(file string) string {
	text, err := os.ReadFile(file)
	if err != nil {
		return err.Error()
	}
	return string(bytes.TrimSpace(text[max(0, len(text)-800):]))
}

// freePort returns a port of the loopback interface at which no program listens now.
func freePort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	return port, err
}

// listening returns an ask for [ready]: it succeeds once a program listens at the address.
func listening(address string) func(context.Context) error {
	return func(ctx context.Context) error {
		var d net.Dialer
		c, err := d.DialContext(ctx, "tcp", address)
		if err != nil {
			return err
		}
		return c.Close()
	}
}

// other returns the user for programs that refuse to run as root; nil if this process is not root.
func other(name string) (*syscall.Credential, error) {
	if os.Getuid() != 0 {
		return nil, nil
	}
	u, err := user.Lookup(name)
	if err != nil {
		return nil, err
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return nil, err
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		return nil, err
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
}

// output runs a program and returns what it prints.
func output(ctx context.Context, credential *syscall.Credential, dir, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: credential, Pdeathsig: syscall.SIGKILL}
	text, err := cmd.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%s: %w: %s", name, err, bytes.TrimSpace(text[max(0, len(text)-800):]))
	}
	return string(bytes.TrimSpace(text)), nil
}
