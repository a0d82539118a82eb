package bench

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
)

// A duty says what a process of the bench does. Exactly one of its fields is set.
type duty struct {
	Node     *node `json:"node,omitempty"`
	Executor *crew `json:"executor,omitempty"`
}

// A hello is the first line that a process writes, once it is ready.
type hello struct {
	URL   string `json:"url,omitempty"`
	Error string `json:"error,omitempty"`
}

// The requests to a process, one per line. It answers each with its usage, as a line of JSON.
const (
	askUsage = "usage"
	askReset = "reset" // forget the peak first
)

// Serve does the duty in a process that Run has started. It returns when in ends: that happens
// as soon as the process that started it ends, in any way.
func Serve(ctx context.Context, what string, in io.Reader, out io.Writer) error {
	// Ctrl-C goes to all processes of a terminal. Ignore it: the process that runs Run ends
	// this one.
	signal.Ignore(os.Interrupt, syscall.SIGTERM)
	var d duty
	err := json.Unmarshal([]byte(what), &d)
	if err != nil || (d.Node == nil) == (d.Executor == nil) {
		return errors.Join(fmt.Errorf("duty %q: want the duty of a server or of an executor", what), err)
	}
	ctx = context.WithoutCancel(ctx)
	said, answers := hello{}, json.NewEncoder(out)
	used, stop := usageHere, func() error { return nil }
	if d.Node != nil {
		var r *running
		if r, err = d.Node.start(ctx); err == nil {
			said.URL, stop = r.url, r.stop
		}
	} else {
		var l *ledger
		if l, stop, err = d.Executor.start(ctx); err == nil {
			used = func() usage { return l.add(usageHere()) }
		}
	}
	if err != nil {
		said.Error = err.Error()
		return errors.Join(err, answers.Encode(said))
	}
	err = answers.Encode(said)
	for lines := bufio.NewScanner(in); err == nil && lines.Scan(); {
		if lines.Text() == askReset {
			forgetPeak()
		}
		err = answers.Encode(used())
	}
	return errors.Join(err, stop())
}

// A process is a process that this one has started.
type process struct {
	cmd     *exec.Cmd
	in      io.WriteCloser
	answers *json.Decoder
	url     string
}

func start(program []string, d duty) (*process, error) {
	what, err := json.Marshal(d)
	if err != nil {
		return nil, err
	}
	p := &process{cmd: exec.Command(program[0], append(program[1:len(program):len(program)], string(what))...)}
	p.cmd.Stderr = os.Stderr
	out, err := p.cmd.StdoutPipe()
	if err == nil {
		p.in, err = p.cmd.StdinPipe()
	}
	if err == nil {
		err = p.cmd.Start()
	}
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", program[0], err)
	}
	p.answers = json.NewDecoder(out)
	var said hello
	err = p.answers.Decode(&said)
	if err == nil && said.Error != "" {
		err = errors.New(said.Error)
	}
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", program[0], errors.Join(err, p.stop()))
	}
	p.url = said.URL
	return p, nil
}

func (p *process) ask(what string) (usage, error) {
	var u usage
	if _, err := fmt.Fprintln(p.in, what); err != nil {
		return u, fmt.Errorf("ask process %d: %w", p.cmd.Process.Pid, err)
	}
	if err := p.answers.Decode(&u); err != nil {
		return u, fmt.Errorf("ask process %d: %w", p.cmd.Process.Pid, err)
	}
	return u, nil
}

// stop ends the process and waits for it.
func (p *process) stop() error {
	_ = p.in.Close() // fails if the process has ended; Wait reports that
	return p.cmd.Wait()
}

// askAll asks all processes and returns the sum of their answers, and each answer.
func askAll(list []*process, what string) (usage, []usage, error) {
	var sum usage
	each := make([]usage, len(list))
	for i, p := range list {
		var err error
		if each[i], err = p.ask(what); err != nil {
			return sum, nil, err
		}
		sum = sum.plus(each[i])
	}
	return sum, each, nil
}
