package main

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/spf13/cobra"

	"github.com/durable-execution/durable/jsstore"
	"github.com/durable-execution/durable/jsstore/embedded"
)

func (a *app) doctor() *cobra.Command {
	var c jsstore.ExamineConfig
	var system string
	var strict, problems bool
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Find out what is wrong with a store, and how to put it right",
		Long: `Look at the servers, the streams and consumers, the executors, the queues and
a sample of the executions, and say of each thing that is not as it should be
what is wrong, why that matters, and the line of configuration to change or the
command to run; and what an acknowledged enqueue survives here. What is worst is
told last; --problems tells problems and warnings alone.

It changes nothing, unless --mend is given. Then it mends what an executor or an
operator would: an execution that nothing moves on goes on; what ought to have
been removed is; a message that a consumer has passed over is sent again; what
nobody can serve is set aside, where durable forget and durable putback find it.
It looks again before each, so that it may be run while executors are at work and
more than once. A running attempt is taken for lost, and begins again elsewhere,
only if no message of it is left and its executor does not answer, asked twice.

Severities:
  ok       as it should be
  note     worth knowing; nothing to do
  warning  works, and will hurt: on a failure, or later
  problem  something does not work, or is lost

The exit code is 1 if there is a problem that was not mended, with --strict also
if there is such a warning, and otherwise 0.`,
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
					return unreachable(redactedError(err, system), "--system wants a user of the system account: nats://USER:PASSWORD@HOST:PORT")
				}
				defer c.System.Close()
			}
			found, err := jsstore.Examine(ctx, p.nc, c)
			if err != nil {
				return unreachable(err, "is a NATS server with JetStream running there? nats-server -js starts one")
			}
			if problems {
				found.Findings = slices.DeleteFunc(found.Findings, func(f jsstore.Finding) bool { return !isBad(f) })
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
			if worst := found.Worst(); worst == jsstore.Problem || strict && worst == jsstore.Warning {
				return &exitError{code: exitIncomplete}
			}
			return nil
		},
	}
	f := cmd.Flags()
	f.BoolVar(&strict, "strict", false, "exit with 1 for a warning too")
	f.BoolVar(&problems, "problems", false, "tell problems and warnings alone")
	f.BoolVar(&c.Mend, "mend", false, "mend what can be mended")
	f.StringVar(&system, "system", "", "URL of a server with a user of the system account, who may ask how it writes")
	f.StringSliceVar(&c.Monitors, "monitor", nil, "URL of a server's monitoring port, in place of --system: http://HOST:8222")
	c.Timeout, c.Roll = 3*time.Second, time.Second
	durationVar(f, &c.Timeout, "timeout", "how long one question to the server may take")
	durationVar(f, &c.Roll, "wait", "how long executors may take to answer")
	f.IntVar(&c.Sample, "sample", 10_000, "look for stuck work in so many records, those first that were not written for longest; -1 in all")
	return cmd
}

// A patient is the server that the doctor looks at.
type patient struct {
	nc    *nats.Conn
	from  jsstore.Config // where JetStream is from there
	url   string         // where others reach it too; empty if they don't
	sync  *jsstore.Sync  // nil if not known
	close func()
}

// admit connects to where the store is. It makes none, and opens none: what is
// there may be in no state to be opened.
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
			return &patient{nc: nc, sync: &sync, close: func() { _ = s.Close() }}, nil // it has been looked at, and that is all
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

// store says where the store is.
func (a *app) store(p *patient) string {
	switch {
	case a.server != "":
		return redacted(a.server)
	case p.url != "":
		return a.dir + ", open in another process at " + p.url
	}
	return a.dir
}
