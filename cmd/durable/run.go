package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/gdamore/tcell/v2"
	"github.com/nats-io/nats.go"
	"github.com/spf13/cobra"

	"github.com/durable-execution/durable/engine"
)

// The exit codes, as the help tells them.
const (
	exitOK          = 0
	exitIncomplete  = 1
	exitUsage       = 2
	exitNotFound    = 3
	exitStore       = 4
	exitInterrupted = 130 // what shells make of SIGINT: 128 + 2
)

const longHelp = `durable runs durable tasks on NATS JetStream, and nothing else.

  durable dev             run a server and sample tasks to develop against
  durable demo            run the demo: upload your files, durably
  durable enqueue TASK    enqueue an execution, and --wait for its output
  durable list            look at what is stored
  durable tree ID         look at one execution and all below it
  durable watch           see what changes, as it happens
  durable top             see the fleet live: load, queues, rates
  durable queues          see what waits, and pause, resume or limit a queue
  durable doctor          find out what is wrong, and how to put it right
  durable setup           make what executors need on a NATS server

The store is a directory (--dir) with a NATS server inside this process, or a
NATS server elsewhere (--server). A directory that another durable has open is
reached through that process. Without either it is the first that there is of
--context, $NATS_URL, $NATS_CONTEXT, the context that nats context select has
selected, and the default directory. demo, dev and bench, which make things, go
by flags alone.

Credentials go with a server: flags before variables, these before the context.

--json prints one JSON document, and --jsonl an object a line: they differ where
a list is printed. What goes on (watch, list --watch, enqueue --lines, demo) and
what acts on several things (delete, putback, forget) prints an object a line
with either. Fields are added and not renamed; times are milliseconds since the
epoch, UTC.

Exit codes:
  0    done
  1    an execution did not complete, or not in the time that was to be waited;
       or it is in no state for what was asked, such as nothing being left to
       cancel, or active and to be deleted; or the doctor has found a problem;
       or whoever was asked has said no
  2    the command line can't be understood, or lacks the --yes that is needed
       where there is no terminal to ask at
  3    no such execution, task, queue or message
  4    the store can't be opened or reached, or does not answer
  130  interrupted by SIGINT or SIGTERM, or Ctrl-C in a live view`

// streams are what a run reads, and where it writes.
type streams struct {
	in       io.Reader // nil is empty
	asked    bool      // a person at a terminal types what is read
	out, err screen
	// terminal opens the terminal that out is on for who has it to itself; nil if out is
	// on none.
	terminal func() (tcell.Screen, error)
}

// An app is one run of the program: its streams and the flags that all commands have.
type app struct {
	streams
	place
	format
	times
}

// An exitError is an error that knows its exit code and, maybe, what to do about
// it. Without an error in it, all has been said.
type exitError struct {
	code int
	err  error
	hint string
}

func (e *exitError) Error() string { return fmt.Sprint(e.err) }
func (e *exitError) Unwrap() error { return e.err }

func usage(hint, format string, args ...any) error {
	return &exitError{exitUsage, fmt.Errorf(format, args...), hint}
}

// run is the program: it does what args say and returns the exit code.
func run(ctx context.Context, args []string, s streams) int {
	a := &app{streams: s}
	if a.in == nil {
		a.in = strings.NewReader("")
	}
	a.in = &stdin{ctx: ctx, r: a.in}
	out := &strictWriter{w: s.out.Writer}
	a.out.Writer = out
	a.wraps()
	root := a.commands()
	root.SetArgs(append([]string{}, args...)) // nil would mean those of the process
	err := root.ExecuteContext(ctx)
	if err == nil && out.err != nil {
		err = &exitError{exitIncomplete, fmt.Errorf("write output: %w", out.err), ""}
	}
	if err == nil {
		return exitOK
	}
	return a.report(ctx, err)
}

func (a *app) commands() *cobra.Command {
	var version bool
	root := &cobra.Command{
		Use:           "durable",
		Short:         "Durable tasks on NATS JetStream",
		Long:          longHelp,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			switch {
			case len(args) > 0:
				return unknownCommand(cmd, args[0])
			case version:
				return a.printVersion()
			}
			return cmd.Help()
		},
	}
	root.Flags().BoolVar(&version, "version", false, "show the versions of this program and of what it is built with")
	root.SetOut(a.out) // first: completion asks for it as it is made
	root.SetErr(a.err)
	root.SetFlagErrorFunc(flagError)
	a.place.flags(root)
	a.format.flags(root)
	a.times.flags(root)
	root.PersistentPreRunE = func(*cobra.Command, []string) error {
		return cmp.Or(a.format.decide(), a.times.valid())
	}
	root.AddCommand(
		a.demo(), a.dev(), a.serve(), a.setup(), a.doctor(),
		a.completes(a.enqueue(), false, someTask), a.completes(a.wait(), false, someID),
		a.completes(a.get(), false, someID), a.completes(a.tree(), false, someID), a.list(), a.completes(a.watch(), false, someID),
		a.top(), a.queues(), a.executors(), a.completes(a.tasks(), false, someTask),
		a.completes(a.cancel(), false, someID), a.completes(a.wake(), false, someID),
		a.completes(a.retry(), false, someID), a.completes(a.delete(), true, someID),
		a.putBack(), a.forget(),
		a.bench(), a.benchProcess(), a.history(), a.version(), a.options(),
	)
	root.SetHelpCommand(a.help())
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	strict(root)
	a.wrapHelp(root)
	return root
}

// exactly is an argument check whose error is a usage error.
func exactly(n int, what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) != n {
			return usage("usage: "+cmd.UseLine(), "%s takes %s, not %d", cmd.Name(), what, len(args))
		}
		return nil
	}
}

// report prints an error, one line and perhaps a hint, and returns its code.
func (a *app) report(ctx context.Context, err error) int {
	code, hint := exitStore, ""
	var exit *exitError
	switch {
	case errors.As(err, &exit):
		code, hint = exit.code, exit.hint
		if exit.err == nil {
			return code
		}
	case ctx.Err() != nil:
		code, err = exitInterrupted, errors.New("interrupted")
	case errors.Is(err, engine.ErrNotFound):
		code, hint = exitNotFound, a.command("list")+" shows what is there"
	case errors.Is(err, engine.ErrActive):
		code, hint = exitIncomplete, "durable cancel ends an execution and everything below it"
	case errors.Is(err, engine.ErrDamaged):
		code, hint = exitIncomplete, a.command("list --set-aside")+" shows what can't be read"
	case errors.Is(err, engine.ErrNewer):
		code, hint = exitIncomplete, "a durable of that version can act on it"
	case errors.Is(err, engine.ErrFinished), errors.Is(err, engine.ErrNotSleeping), errors.Is(err, engine.ErrIDConflict):
		code = exitIncomplete
	case errors.Is(err, engine.ErrInvalidOption), errors.Is(err, engine.ErrInvalidOutput):
		code = exitUsage
	}
	fmt.Fprintf(a.err, "%s %s\n", a.err.paint(red, "durable:"), masked(told(err)))
	if hint != "" {
		fmt.Fprintf(a.err, "%s %s\n", a.err.paint(yellow, "hint:"), masked(oneLine(hint)))
	}
	return code
}

// told is an error in a line.
func told(err error) string {
	text := err.Error()
	// What the client says where there is no connection, since nothing is to be sent later.
	if lost := nats.ErrReconnectBufExceeded; errors.Is(err, lost) {
		text = strings.ReplaceAll(text, lost.Error(), "the connection to the server is lost")
	}
	return oneLine(text)
}

// A strictWriter remembers the first error, so that output that went nowhere
// does not count as success.
type strictWriter struct {
	w   io.Writer
	err error
}

func (s *strictWriter) Write(p []byte) (int, error) {
	n, err := s.w.Write(p)
	if s.err == nil {
		s.err = err
	}
	return n, err
}
