package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/durable-execution/durable/codec"
	"github.com/durable-execution/durable/engine"
)

const enqueueHelp = `Enqueue an execution of a task, and print its id. Give the input as JSON, as @FILE
for a file of JSON, or as - for standard input; if you give none, the input is
null. With --wait, the command waits and then prints the output, or why the
execution did not complete.

The command first asks the executors which of them have the task. It enqueues to
the queue that they name, unless --queue names another. It refuses an input that
does not match the task's JSON Schema, and a task that no executor has unless you
give --force. If no executor answers, it enqueues to the queue "default" without
checking and prints a note on stderr. --unchecked skips the question.

Delay, timeout and retries default to the task's own. --timeout limits each
attempt; --wait-timeout limits how long --wait waits. With --id, running the same
command again does not enqueue a second execution. --delay is a duration from
now, such as 2d12h. --at is a time: in this machine's time zone, with an offset
(2026-12-01T09:00+01:00, or Z for UTC), or with the name of a time zone in
brackets. A time in the past is refused.

--meta KEY=VALUE attaches metadata, such as an order, a customer or a release, by
which durable list --meta finds the execution. You may give it several times.

With --lines, each line of standard input is the input of one execution. A line
that is refused does not stop the others; ids are printed in the order of the
lines. If you interrupt the command, it says which line it reached.`

// An enqueuing is one run of the command enqueue, with its flags.
type enqueuing struct {
	*app
	id, queue, at           string
	due                     time.Time // the time that --at names; zero without --at
	meta                    []string
	delay, timeout, pause   time.Duration
	retries                 int
	patience                time.Duration
	waits, lines, unchecked bool
	force                   bool
}

func (a *app) enqueue() *cobra.Command {
	e := &enqueuing{app: a}
	cmd := &cobra.Command{
		Use:        "enqueue TASK [JSON|@FILE|-]",
		SuggestFor: []string{"run", "start", "submit"},
		Short:      "Enqueue an execution of a task",
		Long:       enqueueHelp,
		Example: "  durable enqueue greet '{\"name\":\"world\"}' --wait\n" +
			"  durable enqueue report @month.json --id report-2026-11 --at 2026-12-01T09:00\n" +
			"  durable enqueue ship '{\"to\":\"Zoë\"}' --meta order=42 --meta customer=7\n" +
			"  jq -c .[] orders.json | durable enqueue order --lines",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) < 1 || len(args) > 2 {
				return usage("usage: "+cmd.UseLine(), "enqueue takes a task and optionally its input, not %s", count(len(args), "argument", "arguments"))
			}
			if err := engine.ValidateTask(args[0]); err != nil {
				return usage(a.command("tasks")+" lists the tasks that executors have", "%w", err)
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error { return e.run(cmd, args) },
	}
	f := cmd.Flags()
	f.StringVar(&e.id, "id", "", "id of the execution, which serves as idempotency key (default: a new one)")
	f.StringVar(&e.queue, "queue", "", "queue to enqueue to (default: the task's)")
	durationVar(f, &e.delay, "delay", "how long to wait before the first attempt: 90s, 1h30m, 2d")
	f.StringVar(&e.at, "at", "", "time of the first attempt, instead of --delay: 2026-12-01T09:00[Europe/Berlin]")
	durationVar(f, &e.timeout, "timeout", "how long each attempt may take; 0 means no limit (default: the task's)")
	f.IntVar(&e.retries, "retries", 0, "how many attempts may follow the first (default: the task's)")
	durationVar(f, &e.pause, "retry-delay", "how long to wait before each retry, with --retries")
	f.StringArrayVar(&e.meta, "meta", nil, "metadata `KEY=VALUE` to find the execution by; may be repeated")
	f.BoolVar(&e.waits, "wait", false, "wait until the execution has finished, and print its output")
	durationVar(f, &e.patience, "wait-timeout", "how long --wait waits; the execution then goes on and the exit code is 1; 0 means no limit")
	f.BoolVar(&e.force, "force", false, "enqueue even if executors answer and none has the task")
	f.BoolVar(&e.lines, "lines", false, "enqueue one execution for each line of standard input")
	f.BoolVar(&e.unchecked, "unchecked", false, "don't ask executors for the task's queue and schema")
	return cmd
}

// options returns the engine options for the flags that were given, or a usage error.
func (e *enqueuing) options(cmd *cobra.Command) ([]engine.Option, error) {
	var opts []engine.Option
	given := cmd.Flags().Changed
	if given("id") {
		opts = append(opts, engine.ID(e.id))
	}
	if given("delay") {
		opts = append(opts, engine.Delay(e.delay))
	}
	if given("at") {
		var err error
		e.due, err = parseTime(e.at)
		switch {
		case given("delay"):
			return nil, usage("", "--delay and --at both say when to start: give one")
		case err != nil:
			return nil, usage("", "--at %q: %w", e.at, err)
		case time.Until(e.due) < 0:
			return nil, usage("", "--at %s is in the past: %s", e.at, ago(e.due, time.Now()))
		}
	}
	if given("timeout") {
		opts = append(opts, engine.Timeout(e.timeout))
	}
	if given("retries") {
		opts = append(opts, engine.Retry{MaxRetries: e.retries, BaseDelay: e.pause})
	}
	if given("queue") {
		if err := engine.ValidateQueue(e.queue); err != nil {
			return nil, usage("", "--queue: %w", err)
		}
	}
	m, err := parsePairs(e.meta)
	if err != nil {
		return nil, err
	}
	if m != nil {
		opts = append(opts, m)
	}
	switch {
	case given("retry-delay") && !given("retries"):
		return nil, usage("", "--retry-delay needs --retries")
	case given("wait-timeout") && !e.waits:
		return nil, usage("--timeout limits each attempt", "--wait-timeout needs --wait")
	case e.patience < 0:
		return nil, usage("0 means no limit", "--wait-timeout %s: negative", e.patience)
	case e.lines && given("id"):
		return nil, usage("", "--id names one execution, but --lines enqueues many: give one of them")
	case e.lines && e.waits:
		return nil, usage(e.command("wait ID")+" waits for one execution", "--wait waits for one execution, but --lines enqueues many: give one of them")
	}
	return opts, nil
}

func (e *enqueuing) run(cmd *cobra.Command, args []string) error {
	ctx := cmd.Context()
	opts, err := e.options(cmd)
	if err != nil {
		return err
	}
	r := engine.Request{Task: args[0], Options: opts}
	if e.lines {
		if len(args) == 2 && args[1] != "-" {
			return usage("", "--lines reads the inputs from standard input, but the command line has an input too")
		}
	} else if len(args) == 2 {
		if r.Input, err = e.readJSON(ctx, "the input", args[1]); err != nil {
			return err
		}
	}
	s, err := e.open(cmd)
	if err != nil {
		return err
	}
	defer s.close()
	known, err := e.schemas(ctx, s, r.Task)
	if err != nil {
		return err
	}
	if e.queue != "" {
		r.Options = append(r.Options, engine.Queue(e.queue))
	}
	client := engine.NewClient(s)
	if e.lines {
		return e.enqueueLines(ctx, client, r, known)
	}
	if err := known.check(r.Input); err != nil {
		return e.refused(r.Task, err)
	}
	id, err := client.Enqueue(ctx, e.dueAt(r))
	if err != nil {
		return err
	}
	if e.waits {
		ctx, cancel := e.within(ctx, id, e.patience)
		defer cancel()
		return e.app.await(ctx, s, id)
	}
	return e.printID(id)
}

// dueAt returns the request with the delay that is left until it is due. Call it just
// before enqueueing: asking the executors took time.
func (e *enqueuing) dueAt(r engine.Request) engine.Request {
	if !e.due.IsZero() {
		r.Options = append(slices.Clip(r.Options), engine.Delay(max(time.Until(e.due), 0)))
	}
	return r
}

func (e *enqueuing) printID(id string) error {
	if e.json {
		return printJSON(e.out, struct {
			ID string `json:"executionId"`
		}{id})
	}
	_, err := fmt.Fprintln(e.out, id)
	return err
}

func (e *enqueuing) refused(task string, err error) error {
	return &exitError{exitUsage, fmt.Errorf("enqueue task %q: %w: %w", task, engine.ErrInvalidInput, err),
		e.command("tasks "+task+" --json") + " shows the schema"}
}

// jsonInput returns a text from the user as a JSON payload, or says why it is not JSON.
func jsonInput(what string, text []byte) (codec.Payload, error) {
	text = bytes.TrimSpace(text)
	if len(text) > mostRead {
		return codec.Payload{}, usage("", "%s has more than %s", what, byteSize(mostRead))
	}
	if len(text) == 0 {
		return codec.Payload{}, usage("leave the input out to pass null", "%s is empty", what)
	}
	var v json.RawMessage
	if err := json.Unmarshal(text, &v); err != nil {
		return codec.Payload{}, usage("quote a text for JSON as well as for the shell: '\"text\"'", "%s is not JSON: %s: %w", what, snip(oneLine(string(text)), 40), err)
	}
	return codec.Payload{Type: codec.JSON, Data: text}, nil
}
