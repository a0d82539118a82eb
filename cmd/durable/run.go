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

// The exit codes, as the help lists them.
const (
	exitOK          = 0
	exitIncomplete  = 1
	exitUsage       = 2
	exitNotFound    = 3
	exitStore       = 4
	exitInterrupted = 130 // as shells report a SIGINT: 128 + 2
)

const longHelp = `durable runs durable tasks on NATS JetStream, and nothing else.

  durable dev             run a server and sample tasks to develop against
  durable demo            run the demo: upload your files, durably
  durable enqueue TASK    enqueue an execution, and --wait for its output
  durable list            list executions
  durable tree ID         show an execution and everything below it
  durable watch           print each change of an execution as it happens
  durable top             watch the fleet live: load, queues, rates
  durable queues          show the queues; pause, resume or limit one
  durable doctor          find problems, and say how to fix them
  durable setup           create what executors need on a NATS server

The store is either a directory (--dir), with a NATS server inside this process,
or a NATS server elsewhere (--server). If another durable process has the
directory open, this one connects to that process. If you give neither flag,
durable takes the first of these that is set: --context, $NATS_URL,
$NATS_CONTEXT, the context that nats context select selected; and otherwise the
default directory. The commands demo, dev and bench create things, so they
follow flags only.

Credentials apply to a server. A flag beats its environment variable, and the
variable beats the context.

--json prints one JSON document; --jsonl prints one object per line. The two
differ only where a command prints a list. Commands that keep printing (watch,
list --watch, enqueue --lines, demo) and commands that take several arguments
(delete, putback, forget) print one object per line with either flag. Later
versions may add fields but never rename one; times are milliseconds since the
epoch, UTC.

Exit codes:
  0    success
  1    the execution did not complete, or did not finish within the time given;
       or its state does not allow the command: it has finished and can't be
       cancelled, or it is still active and can't be deleted; or doctor found a
       problem; or you answered no
  2    the command line is invalid, or it needs --yes because there is no
       terminal to ask on
  3    no such execution, task, queue or message
  4    the store can't be opened or reached, or does not answer
  130  interrupted by SIGINT or SIGTERM, or by Ctrl-C in a live view`

// streams are the input that a run reads and the outputs that it writes.
type streams struct {
	in       io.Reader // nil means empty input
	asked    bool      // in is a terminal, so that a person can be asked
	out, err screen
	// terminal opens the terminal that out writes to, for a live view that fills the
	// whole screen. It is nil if out is not a terminal.
	terminal func() (tcell.Screen, error)
}

// An app is one run of the program: its streams and the flags that every command takes.
type app struct {
	streams
	place
	format
	times
}

// An exitError is an error with its exit code and, if there is one, a hint what to do.
// If err is nil, the command has already printed everything there is to say.
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

// run is the whole program: it runs the command that args name and returns the exit code.
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
	root.SetArgs(append([]string{}, args...)) // for nil, cobra would take os.Args
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
	root.Flags().BoolVar(&version, "version", false, "show the versions of this program, Go, nats-server and nats.go")
	root.SetOut(a.out) // first: cobra reads it when it creates the completion command
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

// exactly checks that a command gets n arguments; its error is a usage error.
func exactly(n int, what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) != n {
			return usage("usage: "+cmd.UseLine(), "%s takes %s, not %d", cmd.Name(), what, len(args))
		}
		return nil
	}
}

// report prints an error on one line, below it a hint if there is one, and returns the
// exit code.
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
		code, hint = exitNotFound, a.command("list")+" lists the executions"
	case errors.Is(err, engine.ErrActive):
		code, hint = exitIncomplete, "durable cancel ends an execution and everything below it"
	case errors.Is(err, engine.ErrDamaged):
		code, hint = exitIncomplete, a.command("list --set-aside")+" lists the records that can't be read"
	case errors.Is(err, engine.ErrNewer):
		code, hint = exitIncomplete, "upgrade durable to a version that can read the record"
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

// told returns the text of an error on one line.
func told(err error) string {
	text := err.Error()
	// nats.go reports a full reconnect buffer for a lost connection: this program sets
	// the buffer to nothing, because a message that is sent later would come too late.
	if lost := nats.ErrReconnectBufExceeded; errors.Is(err, lost) {
		text = strings.ReplaceAll(text, lost.Error(), "the connection to the server is lost")
	}
	return oneLine(text)
}

// A strictWriter remembers the first error, so that the program does not report success
// if its output was lost.
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
