package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/durable-execution/durable/cmd/durable/bench"
)

// benchProcess is the hidden command that bench starts this program with as a server or an
// executor.
const benchProcess = "bench-process"

const benchHelp = `bench measures what executions cost. In the same run and on the same server it also
measures the floor: what JetStream itself needs to store, deliver and delete as many
messages of the same size. Compare the figures of one run with each other, and the
ratio to the floor with that of another machine or version.

Workloads; bench runs all of them if you name none:
%s
bench starts the server as a process of its own and connects over TCP, unless you give
--embedded or --server; --replicas 3 starts a cluster of three. It keeps files in a
directory of its own, in --dir or in the system's directory for temporary files, and
removes it at the end. On a server elsewhere it creates a namespace and removes it; it
touches nothing else there.

With --json it prints one document: the report of the workload or, for several,
{"reports": [...]}. With --jsonl it prints one report per line, as each is ready.

CPU time is user and kernel time. Each round measures the floor and then the engine;
the figures are the median, the least and the most of the rounds.`

// A benchRun is one run of the command bench.
type benchRun struct {
	*app
	bench.Config
	sync   string
	warmup int
	html   string
}

func (a *app) bench() *cobra.Command {
	b := &benchRun{app: a}
	var names []string
	list := ""
	for _, w := range bench.Workloads() {
		names = append(names, w.Name)
		list += fmt.Sprintf("  %-11s %s\n", w.Name, w.About)
	}
	cmd := &cobra.Command{
		Use:   "bench [WORKLOAD ...]",
		Short: "Measure what executions cost, compared with JetStream alone",
		Long:  fmt.Sprintf(benchHelp, list),
		Args: func(_ *cobra.Command, args []string) error {
			for _, arg := range args {
				if !slices.Contains(names, arg) {
					return unknown("workload", arg, names)
				}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				args = names
			}
			return b.run(cmd, args)
		},
	}
	f := cmd.Flags()
	f.BoolVar(&b.Embedded, "embedded", false, "run the server in this process")
	f.IntVar(&b.Replicas, "replicas", 1, "copies of each stream, each on a server of its own")
	f.StringVar(&b.sync, "sync-interval", "10ms", "how often the server syncs its files to the disk: a duration, or always")
	f.IntVar(&b.Count, "count", 0, "how many executions (or trees) a round does (default: the workload's)")
	durationVar(f, &b.For, "for", "how long a round starts new executions, instead of --count")
	f.IntVar(&b.warmup, "warmup", 0, "how many executions to do before the first round (default: a tenth of the count)")
	f.IntVar(&b.Rounds, "rounds", 5, "how many rounds")
	f.IntVar(&b.Payload, "payload", 300, "size of an input in bytes")
	f.IntVar(&b.Callers, "callers", 0, "how many goroutines enqueue at the same time (default: the workload's)")
	f.IntVar(&b.Slots, "slots", 500, "how many attempts an executor runs at once")
	f.IntVar(&b.Executors, "executors", 0, "how many executor processes to start; 0 runs one executor in this process")
	f.Float64Var(&b.Rate, "rate", 0, "for latency and delayed: executions started per second, without waiting for earlier ones")
	f.IntVar(&b.Children, "children", 10, "children of a parent")
	f.IntVar(&b.Steps, "steps", 5, "steps of a sequence")
	b.Delay = 2 * time.Second
	durationVar(f, &b.Delay, "delay", "delay of each execution in the workload delayed")
	f.IntVar(&b.Stored, "stored", 0, "how many finished executions to store before the first round")
	f.IntVar(&b.Waiting, "waiting", 0, "how many delayed executions to keep waiting during all rounds")
	f.BoolVar(&b.NoFloor, "no-floor", false, "don't measure the floor")
	f.StringVar(&b.CPUProfile, "cpu-profile", "", "file for a CPU profile of this process during the last round, without the floor")
	f.StringVar(&b.html, "html", "", "file for a self-contained HTML report with plots")
	return cmd
}

// settle completes the Config from the flags, or says what is wrong with them.
func (b *benchRun) settle(cmd *cobra.Command, args []string) error {
	if cmd.Flag("namespace").Changed {
		return usage("", "--namespace: bench creates its own namespace and removes it")
	}
	b.skipsEnvironment = true
	if err := b.check(cmd); err != nil {
		return err
	}
	for _, f := range b.login.list() {
		if cmd.Flag(f.name).Changed {
			return usage("--server nats://USER:PASSWORD@HOST:PORT", "--%s: bench passes only a URL to the processes that it starts", f.name)
		}
	}
	b.Server = b.server
	if cmd.Flag("dir").Changed {
		b.Dir = b.dir
		if err := os.MkdirAll(b.Dir, 0o700); err != nil {
			return usage("", "--dir: %w", err)
		}
	}
	// Package bench takes zero for the default.
	for name, value := range map[string]int{
		"count": b.Count, "rounds": b.Rounds, "payload": b.Payload, "callers": b.Callers, "slots": b.Slots,
		"children": b.Children, "steps": b.Steps, "replicas": b.Replicas,
	} {
		if cmd.Flag(name).Changed && value < 1 {
			return usage("", "--%s %d: want at least 1", name, value)
		}
	}
	if cmd.Flag("for").Changed && b.For <= 0 {
		return usage("", "--for %s: want more than 0", b.For)
	}
	if cmd.Flag("rate").Changed && b.Rate <= 0 {
		return usage("", "--rate %g: want more than 0", b.Rate)
	}
	if b.Warmup = b.warmup; b.warmup < 0 {
		return usage("", "--warmup %d: negative", b.warmup)
	}
	if cmd.Flag("warmup").Changed && b.warmup == 0 {
		b.Warmup = bench.NoWarmup
	}
	if !cmd.Flag("rounds").Changed {
		b.Rounds = 0
	}
	if cmd.Flag("sync-interval").Changed {
		switch d, err := time.ParseDuration(b.sync); {
		case b.sync == "always":
			b.SyncAlways = true
		case err != nil || d < time.Millisecond:
			return usage("", "--sync-interval %s: want always, or a duration of at least 1ms", b.sync)
		default:
			b.SyncInterval = d
		}
	}
	if b.CPUProfile != "" && len(args) > 1 {
		return usage("durable bench WORKLOAD --cpu-profile FILE", "--cpu-profile takes one workload, not %d", len(args))
	}
	for _, f := range []struct{ flag, path string }{{"html", b.html}, {"cpu-profile", b.CPUProfile}} {
		if f.path == "" {
			continue
		}
		if err := checkOutput(f.path); err != nil {
			return usage("", "--%s %s: %w", f.flag, printable(f.path), err)
		}
	}
	exe, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	b.Program = []string{exe, benchProcess}
	for _, name := range args {
		b.Workload = name
		if err := b.Config.Check(); err != nil {
			if len(args) > 1 {
				return usage("durable bench "+name+" measures one workload", "%w", err)
			}
			return usage("durable bench --help explains the flags", "%w", err)
		}
	}
	return nil
}

func (b *benchRun) run(cmd *cobra.Command, args []string) error {
	if err := b.settle(cmd, args); err != nil {
		return err
	}
	ctx := cmd.Context()
	var reports []*bench.Report
	var failed error
	for _, name := range args {
		if ctx.Err() != nil {
			break
		}
		b.Workload = name
		r, err := bench.Run(ctx, b.Config, b.progress)
		b.progress("")
		if err != nil {
			failed = benchError(ctx, name, err)
			break
		}
		reports = append(reports, r)
		switch {
		case b.jsonl:
			err = printJSON(b.out, r)
		case !b.json:
			_, err = io.WriteString(b.out, benchText(b.out, r))
		}
		if err != nil {
			return err
		}
	}
	if b.json && !b.jsonl && len(reports) > 0 { // even after a failure: these are complete
		if err := b.printReports(reports, len(args)); err != nil {
			return err
		}
	}
	if b.html != "" && len(reports) > 0 {
		if err := b.writeHTML(reports); err != nil {
			return errors.Join(failed, err)
		}
	}
	if failed == nil && ctx.Err() != nil {
		return &exitError{exitInterrupted, errors.New("interrupted: some workloads were not measured"), ""}
	}
	return failed
}

// printReports prints one document: of one workload its report, of several their list.
func (b *benchRun) printReports(reports []*bench.Report, asked int) error {
	if asked == 1 {
		return printJSON(b.out, reports[0])
	}
	return printJSON(b.out, struct {
		Reports []*bench.Report `json:"reports"`
	}{reports})
}

func benchError(ctx context.Context, name string, err error) error {
	switch {
	case ctx.Err() != nil && errors.Is(err, context.Cause(ctx)):
		return &exitError{exitInterrupted, fmt.Errorf("interrupted: %s was not measured", name), ""}
	case errors.Is(err, bench.ErrConfig):
		return usage("", "%w", err)
	}
	return &exitError{exitStore, fmt.Errorf("bench %s: %w", name, err), ""}
}

// progress shows the current step on a terminal.
func (b *benchRun) progress(what string) {
	if b.err.terminal {
		fmt.Fprintf(b.err, "\r\x1b[K%s", what)
	}
}

func (b *benchRun) writeHTML(reports []*bench.Report) error {
	page, err := bench.HTML(reports)
	if err == nil {
		err = os.WriteFile(b.html, page, 0o644)
	}
	if err != nil {
		return &exitError{exitIncomplete, fmt.Errorf("report %s: %w", b.html, err), ""}
	}
	return nil
}

// benchProcess returns the hidden command that bench starts this program with. Only bench
// reads its output.
func (a *app) benchProcess() *cobra.Command {
	return &cobra.Command{
		Use:    benchProcess + " DUTY",
		Hidden: true,
		Args:   exactly(1, "one duty"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := bench.Serve(cmd.Context(), args[0], os.Stdin, a.out); err != nil {
				return &exitError{exitStore, err, ""}
			}
			return nil
		},
	}
}

// benchText formats a report in 80 columns.
func benchText(s screen, r *bench.Report) string {
	var t strings.Builder
	m, c := r.Machine, r.Settings
	fmt.Fprintf(&t, "%s  %s\n", s.paint(bold, r.Workload), s.paint(faint, r.Started.Local().Format("2006-01-02 15:04:05 MST")))
	wrapped(&t, r.About)
	wrapped(&t, fmt.Sprintf("durable %s, %s, nats.go %s, nats-server %s", m.Durable, m.Go, m.NATSClient, m.NATSServer))
	machine := fmt.Sprintf("%s, %s", m.Platform, count(m.Cores, "core", "cores"))
	if m.Model != "" {
		machine += ", " + m.Model
	}
	if m.Load != "" {
		machine += ", load " + m.Load + " before"
	}
	wrapped(&t, machine)
	wrapped(&t, fmt.Sprintf("%s, %s; sync interval %s; %s", c.Place, c.Transport, c.Sync, count(c.Replicas, "replica", "replicas")))
	wrapped(&t, loadOf(r))
	if r.FloorIs != "" {
		wrapped(&t, "floor: "+r.FloorIs)
	}
	if r.Interrupted {
		fmt.Fprintf(&t, "  %s\n", s.paint(yellow, "interrupted: the figures cover the completed rounds only"))
	}
	t.WriteString(benchTable(s, r))
	t.WriteByte('\n')
	return t.String()
}

// loadOf describes the load of a report's rounds.
func loadOf(r *bench.Report) string {
	c := r.Settings
	each := span(time.Duration(c.ForMS) * time.Millisecond)
	if c.Count > 0 {
		each = count(c.Count, r.Noun, r.Noun+"s")
	}
	text := fmt.Sprintf("%s of %s", count(r.Rounds, "round", "rounds"), each)
	if c.Warmup > 0 && c.Count > 0 {
		text += fmt.Sprintf(", %s to warm up", grouped(c.Warmup))
	}
	text += fmt.Sprintf("; payload %s; %s", byteSize(int64(c.Payload)), count(c.Callers, "caller", "callers"))
	switch {
	case c.Rate > 0:
		text += fmt.Sprintf(", %g started per second without waiting for earlier ones", c.Rate)
	case c.Children > 0:
		text += "; " + count(c.Children, "child", "children")
	case c.Steps > 0:
		text += "; " + count(c.Steps, "step", "steps")
	case c.DelayMS > 0:
		text += "; delay " + span(time.Duration(c.DelayMS)*time.Millisecond)
	}
	if c.Manned {
		where := "this process"
		if c.Executors > 0 {
			where = count(c.Executors, "process", "processes")
		}
		text += fmt.Sprintf("; %s in %s", count(c.Slots, "slot", "slots"), where)
	}
	if c.Stored+c.Waiting > 0 {
		text += fmt.Sprintf("; %s finished and %s waiting executions stored before", grouped(c.Stored), grouped(c.Waiting))
	}
	return text
}

// wrapped writes a text in lines of at most 80 columns, indented by two.
func wrapped(t *strings.Builder, text string) {
	t.WriteString(indent(fill(text, textColumns-2)) + "\n")
}

// benchTable formats the figures, one line for each metric.
func benchTable(s screen, r *bench.Report) string {
	var t strings.Builder
	head := fmt.Sprintf("  %-22s %9s %9s %9s %9s %6s  %s", "", "median", "least", "most", "floor", "ratio", "unit")
	fmt.Fprintf(&t, "%s\n", s.paint(faint, head))
	for _, m := range r.Metrics {
		if strings.HasPrefix(m.Name, "stored") && m.Most == 0 && m.Floor == nil {
			continue // nothing was stored; the JSON report has the zero
		}
		floor, ratio := "", ""
		if m.Floor != nil {
			floor, ratio = bench.Figure(m.Floor.Median), bench.Figure(m.Ratio.Median)
		}
		fmt.Fprintf(&t, "  %-22s %9s %9s %9s %9s %6s  %s\n", m.Label, bench.Figure(m.Median), bench.Figure(m.Least), bench.Figure(m.Most), floor, ratio, shortUnit(m.Unit, r.Noun))
	}
	return t.String()
}

// shortUnit shortens a unit to at most ten columns: the lines above say what is counted.
func shortUnit(unit, noun string) string {
	unit = strings.ReplaceAll(unit, " "+noun+"s", "")
	unit = strings.ReplaceAll(unit, noun+"s/s", "1/s")
	unit = strings.ReplaceAll(unit, "1/"+noun, "each")
	unit = strings.ReplaceAll(unit, "/"+noun, " each")
	unit = strings.ReplaceAll(unit, " children", "")
	return strings.ReplaceAll(unit, "% of a core", "% core")
}
