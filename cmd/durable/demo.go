package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
	"go.uber.org/zap"
)

// A demo is one run of the demo, with its flags.
type demo struct {
	*app
	target   string
	slots    int
	drain    time.Duration
	delay    time.Duration
	afresh   bool
	maxSize  sizeFlag
	logLevel string
	health   string

	say   screen // texts for people: stdout, or stderr if stdout is for programs
	log   *zap.Logger
	meter *meter
	store *store
}

const demoHelp = `Upload files durably. For each file, the demo enqueues an execution of the task
uploadFile: it copies the file to a directory, extracts its title and counts its
words in two children that run at the same time, and joins their outputs. Without
arguments, the demo takes the *.go and *.md files of the Go module around the
working directory. A directory stands for all files in it.

If this process dies, the next run continues its work. A file that has not changed
is the same execution: it continues where it was, and never runs again once it
has completed. The demo also finishes unfinished files of earlier runs. Try it:
kill -9 this process, and start it again.

Ctrl-C lets running tasks finish, for at most --drain. A second Ctrl-C ends the
demo at once.`

func (a *app) demo() *cobra.Command {
	d := &demo{app: a, maxSize: 16 << 20}
	cmd := &cobra.Command{
		Use:     "demo [FILE|DIR ...]",
		Short:   "Run the demo: upload files durably",
		Long:    demoHelp,
		Example: "  durable demo\n  durable demo --delay 500ms ~/Documents\n  durable demo --json *.md | jq .output.title",
		RunE:    func(cmd *cobra.Command, args []string) error { return d.run(cmd, args) },
	}
	f := cmd.Flags()
	f.StringVar(&d.target, "target", "", "directory to upload to (default: uploads in the directory of the store)")
	f.IntVar(&d.slots, "slots", 8, "how many tasks run at the same time")
	d.drain = 10 * time.Second
	durationVar(f, &d.drain, "drain", "how long running tasks may go on after Ctrl-C")
	durationVar(f, &d.delay, "delay", "artificial work: how much longer to make every task")
	f.BoolVar(&d.afresh, "again", false, "rerun files whose upload has completed")
	f.Var(&d.maxSize, "max-size", "size of the largest file to upload")
	f.StringVar(&d.logLevel, "log-level", "warn", "lowest level of messages to log to stderr: debug, info, warn, error")
	healthFlag(cmd, &d.health)
	return cmd
}

// check completes the flags, or says what is wrong with them.
func (d *demo) check(cmd *cobra.Command) error {
	d.skipsEnvironment = true
	err := d.place.check(cmd)
	switch {
	case err != nil:
		return err
	case d.slots < 1:
		return usage("", "--slots %d: want at least 1", d.slots)
	case d.drain < 0:
		return usage("", "--drain %s: negative", d.drain)
	case d.delay < 0:
		return usage("", "--delay %s: negative", d.delay)
	case d.target == "" && d.dir == "":
		return usage("", "--target is required: without a home directory there is no default")
	case d.target == "":
		d.target = filepath.Join(d.dir, "uploads")
	}
	if d.target, err = filepath.Abs(d.target); err != nil {
		return usage("", "--target: %w", err)
	}
	if err := checkDirectory(d.target); err != nil {
		return &exitError{exitStore, fmt.Errorf("upload directory %s: %w", printable(d.target), err), "--target picks another"}
	}
	d.say = d.out
	if d.json {
		d.say = d.err
	}
	return d.startLog()
}

func (d *demo) run(cmd *cobra.Command, args []string) error {
	if err := d.check(cmd); err != nil {
		return err
	}
	ctx, began := cmd.Context(), time.Now()
	in, err := collect(args, d.dir, d.target)
	if err != nil {
		return err
	}
	if len(in.files) == 0 {
		// Nothing to upload: don't create a store.
		return d.conclude(ctx, d.refuse(in), time.Since(began))
	}
	there, _ := hasStore(d.dir) // opening the store reports the same error
	if d.store, err = d.take(ctx, d.logServer); err != nil {
		return err
	}
	defer d.store.close()
	if err := os.MkdirAll(d.target, 0o755); err != nil {
		return &exitError{exitStore, fmt.Errorf("upload directory: %w", err), "--target picks another"}
	}
	earlier, err := recall(ctx, d.store)
	if err != nil {
		return err
	}
	p := planned(in.files, d.target, earlier, d.afresh)
	d.greet(in, p, there)
	refused := d.refuse(in)
	results, err := d.execute(ctx, p)
	if err != nil {
		return err
	}
	if results = append(refused, results...); left(results) != (tally{}) {
		return d.interrupted(results)
	}
	// Everything has finished: an interruption no longer matters.
	return d.conclude(context.WithoutCancel(ctx), results, time.Since(began))
}
