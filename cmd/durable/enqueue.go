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

const enqueueHelp = `Enqueue an execution of a task, and print its id. The input is JSON, a file of
JSON as @FILE, or standard input as -; without one it is null. With --wait it
prints the output once the execution has completed, or why it did not.

The executors are asked which of them have the task. It goes to the queue that
they say it has, unless --queue names another. An input that its JSON Schema
refuses is not enqueued, nor is a task that none of them has, unless --force is
given. Where no executor answers it is enqueued all the same, with a note on
stderr, to the queue "default"; --unchecked asks nobody.

What is not given is the task's own: its delay, timeout and retries. --timeout is
how long each attempt may take; how long --wait waits is --wait-timeout. With --id the same command again is the
same execution. --delay is a duration from now, such as 2d12h; --at is a time: in
this machine's zone, or with an offset (2026-12-01T09:00+01:00, or Z for UTC), or
with the name of a zone in brackets. One that is past is refused.

With --meta KEY=VALUE, which may be given several times, durable list --meta
finds it by that: an order, a customer, a release.

With --lines each line of standard input is the input of an execution. Each is
enqueued, or not, by itself; the ids are printed in the order of the lines. When it
is interrupted it says up to which line it came.`

// An enqueuing is one run of enqueue: its flags.
type enqueuing struct {
	*app
	id, queue, at           string
	due                     time.Time // what --at says; zero if nothing
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
				return usage("usage: "+cmd.UseLine(), "enqueue takes a task and perhaps its input, not %s", count(len(args), "argument", "arguments"))
			}
			if err := engine.ValidateTask(args[0]); err != nil {
				return usage(a.command("tasks")+" shows those that executors have", "%w", err)
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error { return e.run(cmd, args) },
	}
	f := cmd.Flags()
	f.StringVar(&e.id, "id", "", "the execution's id, an idempotency key (default a new one)")
	f.StringVar(&e.queue, "queue", "", "queue whose executors run it (default the task's)")
	durationVar(f, &e.delay, "delay", "how long to wait before the first attempt: 90s, 1h30m, 2d")
	f.StringVar(&e.at, "at", "", "when the first attempt is due, in place of --delay: 2026-12-01T09:00[Europe/Berlin]")
	durationVar(f, &e.timeout, "timeout", "how long each attempt may take, whoever waits for it; 0 is no limit (default the task's)")
	f.IntVar(&e.retries, "retries", 0, "attempts after the first (default the task's)")
	durationVar(f, &e.pause, "retry-delay", "how long to wait before each retry, with --retries")
	f.StringArrayVar(&e.meta, "meta", nil, "metadata to find it by, `KEY=VALUE`; several may be given")
	f.BoolVar(&e.waits, "wait", false, "wait for the end, and print the output")
	durationVar(f, &e.patience, "wait-timeout", "how long --wait waits, after which the execution goes on and the exit code is 1; 0 is for as long as it takes")
	f.BoolVar(&e.force, "force", false, "enqueue a task that no executor that answers has")
	f.BoolVar(&e.lines, "lines", false, "each line of standard input is the input of an execution")
	f.BoolVar(&e.unchecked, "unchecked", false, "ask no executor for the task's schema")
	return cmd
}

// options are those that were given.
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
			return nil, usage("", "--delay and --at say when twice: give one")
		case err != nil:
			return nil, usage("", "--at %q: %w", e.at, err)
		case time.Until(e.due) < 0:
			return nil, usage("", "--at %s: that was %s", e.at, ago(e.due, time.Now()))
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
		return nil, usage("", "--retry-delay goes with --retries")
	case given("wait-timeout") && !e.waits:
		return nil, usage("--timeout is that of each attempt", "--wait-timeout goes with --wait")
	case e.patience < 0:
		return nil, usage("0 waits for as long as it takes", "--wait-timeout %s: negative", e.patience)
	case e.lines && given("id"):
		return nil, usage("", "--id names one execution, and --lines enqueues many")
	case e.lines && e.waits:
		return nil, usage(e.command("wait ID")+" waits for one", "--wait waits for one execution, and --lines enqueues many")
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
			return usage("", "--lines reads standard input, and there is an input on the command line too")
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

// dueAt is a request that is about to be made, with the delay that is left until it is
// due: others have been asked in the meantime.
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

// jsonInput is a text that a user says is JSON.
func jsonInput(what string, text []byte) (codec.Payload, error) {
	text = bytes.TrimSpace(text)
	if len(text) > mostRead {
		return codec.Payload{}, usage("", "%s has more than %s", what, byteSize(mostRead))
	}
	if len(text) == 0 {
		return codec.Payload{}, usage("without an input it is null", "%s is empty", what)
	}
	var v json.RawMessage
	if err := json.Unmarshal(text, &v); err != nil {
		return codec.Payload{}, usage("a text needs quotes of its own: '\"text\"'", "%s is not JSON: %s: %w", what, snip(oneLine(string(text)), 40), err)
	}
	return codec.Payload{Type: codec.JSON, Data: text}, nil
}
