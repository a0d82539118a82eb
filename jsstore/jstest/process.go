//go:build unix

package jstest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// A Process runs this test binary once more, in a role. It can be killed, stopped and continued
// like a user's program. It ends with the test, whatever its state, and by itself when the test
// binary dies.
type Process struct {
	t      testing.TB
	role   string
	cmd    *exec.Cmd
	life   io.WriteCloser // its standard input: the process exits when it is closed
	out    *output
	exited chan struct{}
}

// The environment tells a process its role, and its configuration as JSON.
const (
	roleVariable   = "DURABLE_TEST_ROLE"
	configVariable = "DURABLE_TEST_CONFIG"
)

// A Role is the work of a process. It calls ready when it has started to work.
type Role func(config []byte, ready func()) error

// Main runs the tests or, in a process started by [Spawn], the role. A package that starts
// processes calls it in TestMain, and nothing else.
func Main(m *testing.M, roles map[string]Role) {
	name := os.Getenv(roleVariable)
	if name == "" {
		os.Exit(m.Run())
	}
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin) // until the test binary ends
		os.Exit(1)
	}()
	role := roles[name]
	if name == nodeRole {
		role = runNode
	}
	if role == nil {
		fmt.Fprintf(os.Stderr, "no role %q\n", name)
		os.Exit(2)
	}
	if err := role([]byte(os.Getenv(configVariable)), func() { fmt.Println(readyLine) }); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

const readyLine = "ready"

// Spawn starts a process in one of the roles that TestMain passes to [Main].
func Spawn(t testing.TB, role string, config any) *Process {
	t.Helper()
	return SpawnProgram(t, os.Args[0], role, config)
}

// SpawnProgram is Spawn for another test binary, or for this one built differently.
func SpawnProgram(t testing.TB, path, role string, config any, env ...string) *Process {
	t.Helper()
	text, err := json.Marshal(config)
	if err != nil {
		t.Fatal(err)
	}
	p := &Process{t: t, role: role, cmd: exec.Command(path), out: &output{}, exited: make(chan struct{})}
	p.cmd.Env = append(append(os.Environ(), roleVariable+"="+role, configVariable+"="+string(text)), env...)
	p.cmd.Stdout, p.cmd.Stderr = p.out, p.out
	if p.life, err = p.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = p.cmd.Wait() // ProcessState says how it ended
		close(p.exited)
	}()
	t.Cleanup(func() {
		p.Kill()
		if t.Failed() {
			if said := strings.TrimSpace(strings.ReplaceAll(p.out.String(), readyLine+"\n", "")); said != "" {
				t.Logf("%s %d said:\n%s", role, p.PID(), said)
			}
		}
	})
	return p
}

// AwaitReady waits until the process is ready. If the process ends first, the test fails.
func (p *Process) AwaitReady() {
	p.t.Helper()
	await(p.t, p.role+" is ready", func() bool {
		select {
		case <-p.exited:
			p.t.Fatalf("%s ended (%s) before it was ready:\n%s", p.role, p.cmd.ProcessState, p.out)
		default:
		}
		return p.out.ready()
	})
}

// PID is the id of the process.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Signal sends a signal. It does nothing if the process has ended.
func (p *Process) Signal(s syscall.Signal) {
	select {
	case <-p.exited:
	default:
		_ = p.cmd.Process.Signal(s) // the process may be ending right now
	}
}

// Kill kills the process, even a stopped one, and returns when it is gone.
func (p *Process) Kill() {
	p.Signal(syscall.SIGKILL)
	<-p.exited
}

// Exited is closed when the process has ended.
func (p *Process) Exited() <-chan struct{} { return p.exited }

// ExitCode returns the exit code, or -1 if a signal ended the process. It waits for the end.
func (p *Process) ExitCode() int {
	<-p.exited
	return p.cmd.ProcessState.ExitCode()
}

// State says how the process ended: by an exit code or a signal. It waits for the end.
func (p *Process) State() string {
	<-p.exited
	return p.cmd.ProcessState.String()
}

// Output returns everything that the process has written so far.
func (p *Process) Output() string { return p.out.String() }

// output collects what a process writes.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(b)
}

func (o *output) ready() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return bytes.Contains(o.text.Bytes(), []byte(readyLine+"\n"))
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}
