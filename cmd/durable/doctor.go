package main

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/spf13/cobra"

	"github.com/durable-execution/durable/jsstore"
	"github.com/durable-execution/durable/jsstore/doctor"
	"github.com/durable-execution/durable/jsstore/embedded"
)

func (a *app) doctor() *cobra.Command {
	var c doctor.Config
	var system string
	var strict, problems bool
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Find problems of a store, and say how to fix them",
		Long: `Check the servers, the streams and consumers, the executors, the queues and a
sample of the executions. For each finding the command prints what is wrong, why
it matters, and the setting to change or the command to run. It also prints which
failures an acknowledged enqueue survives here. The worst findings come last;
--problems prints problems and warnings only.

The command changes nothing unless you give --mend. With --mend it makes these
repairs: it restarts a stuck execution, which means that no executor runs it and
no message will continue it; it deletes leftovers; it republishes a message that a
consumer skipped; and it sets aside a message that no executor can process, so
that durable forget and durable putback find it. It repeats its check before each
repair, so you may run it while executors work, and as often as you like. It
restarts a running attempt only if no message of the attempt is left and its
executor did not answer two requests.

Severities:
  ok       as it should be
  note     worth knowing; nothing to do
  warning  works now, but will cause trouble later or during a failure
  problem  something does not work, or data is lost

The exit code is 1 if a problem remains that the command did not repair (with
--strict, also if a warning remains), and 0 otherwise.`,
		Args: exactly(0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := a.check(cmd); err != nil {
				return err
			}
			ctx := cmd.Context()
			p, err := a.admit(ctx)
			if err != nil {
				return err
			}
			defer p.close()
			c.Namespace, c.Sync, c.Domain, c.APIPrefix = a.namespace, p.sync, p.from.Domain, p.from.APIPrefix
			if system != "" {
				if c.System, err = nats.Connect(system, nats.Name("durable doctor"), nats.NoReconnect(), quiet); err != nil {
					return unreachable(redactedError(err, system), "--system needs a user of the system account: nats://USER:PASSWORD@HOST:PORT")
				}
				defer c.System.Close()
			}
			found, err := doctor.Examine(ctx, p.nc, c)
			if err != nil {
				return unreachable(err, "is a NATS server with JetStream running there? nats-server -js starts one")
			}
			if problems {
				found.Findings = slices.DeleteFunc(found.Findings, func(f doctor.Finding) bool { return !isBad(f) })
			}
			switch {
			case a.json:
				err = printJSON(a.out, viewOfExamination(found, a.store(p)))
			case problems:
				a.printProblems(found)
			default:
				a.printExamination(found, a.store(p))
			}
			if err != nil {
				return err
			}
			if worst := found.Worst(); worst == doctor.Problem || strict && worst == doctor.Warning {
				return &exitError{code: exitIncomplete}
			}
			return nil
		},
	}
	f := cmd.Flags()
	f.BoolVar(&strict, "strict", false, "exit with 1 for warnings too")
	f.BoolVar(&problems, "problems", false, "print problems and warnings only")
	f.BoolVar(&c.Mend, "mend", false, "make the repairs that the help describes")
	f.StringVar(&system, "system", "", "URL with a user of the system account, to ask each server how it writes to disk")
	f.StringSliceVar(&c.Monitors, "monitor", nil, "URL of a server's monitoring port, instead of --system: http://HOST:8222")
	c.Timeout, c.Roll = 3*time.Second, time.Second
	durationVar(f, &c.Timeout, "timeout", "how long one request to a server may take")
	durationVar(f, &c.Roll, "wait", "how long to wait for answers of executors")
	f.IntVar(&c.Sample, "sample", 10_000, "how many records to check for stuck work, beginning with the records unchanged for longest; -1 checks all")
	return cmd
}

// A patient is the server that the doctor examines.
type patient struct {
	nc    *nats.Conn
	from  jsstore.Config // the JetStream domain or API prefix to use on nc
	url   string         // of the server; empty if no other process can reach it
	sync  *jsstore.Sync  // nil if unknown
	close func()
}

// admit connects to the server of the store. It neither creates nor opens the store,
// which may be too broken to be opened.
func (p place) admit(ctx context.Context) (*patient, error) {
	if p.server != "" {
		return p.dial(p.server, nil)
	}
	if err := p.there(); err != nil {
		return nil, err
	}
	for deadline := time.Now().Add(patience); ; {
		c := embedded.Config{Dir: p.dir}
		s, err := embedded.Start(ctx, c)
		if err == nil {
			nc, err := s.Connect()
			if err != nil {
				return nil, unreachable(errors.Join(err, s.Close()), "")
			}
			sync := c.Sync()
			return &patient{nc: nc, sync: &sync, close: func() { _ = s.Close() }}, nil // the doctor wrote nothing that a failed close could lose
		}
		var used *embedded.InUseError
		if !errors.As(err, &used) {
			return nil, unreachable(err, "--dir names another directory")
		}
		if used.URL != "" {
			sync := &used.Sync
			if used.Sync == (jsstore.Sync{}) {
				sync = nil
			}
			if admitted, err := p.dial(used.URL, sync); err == nil {
				return admitted, nil
			}
		}
		if time.Now().After(deadline) {
			return nil, unreachable(err, "--dir names another directory")
		}
		if err := pause(ctx, 50*time.Millisecond); err != nil {
			return nil, err
		}
	}
}

func (p place) dial(url string, sync *jsstore.Sync) (*patient, error) {
	var from jsstore.Config
	nc, err := p.dialNATS(url, &from, nats.Name("durable doctor"), nats.Timeout(patience), quiet)
	if err != nil {
		return nil, unreachable(redactedError(err, url), "is a NATS server running there? nats-server -js starts one")
	}
	return &patient{nc: nc, from: from, url: url, sync: sync, close: nc.Close}, nil
}

// store returns the location of the store, for people.
func (a *app) store(p *patient) string {
	switch {
	case a.server != "":
		return redacted(a.server)
	case p.url != "":
		return a.dir + ", open in another process at " + p.url
	}
	return a.dir
}
