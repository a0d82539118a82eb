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

// benchProcess is the command by which this program is a server or an executor of a
// bench.
const benchProcess = "bench-process"

const benchHelp = `bench measures what executions cost, and beside it the floor: what JetStream itself
needs to keep, deliver and forget as much, measured in the same run, on the same
server, with messages of the same size. It is for comparing: figures of one run with
each other, and the ratio to the floor with that of another machine or version.

Workloads; without any, all of them:
%s
The server is started as a process of its own and reached over TCP, unless --embedded
or --server say otherwise; --replicas 3 starts a cluster of three. Files are kept in a
directory of their own, in --dir or the system's for temporary files, and removed. On a
server elsewhere a namespace is made and removed; nothing else there is touched.

With --json it prints one document: the report of a workload or, of several,
{"reports": [...]}; with --jsonl a report a line, each once it is there.

CPU is that of user and kernel. A round measures the floor and then the engine; the
figures are the median of the rounds, the least and the most.`

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
		Short: "Measure what executions cost, beside what JetStream itself needs",
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
	f.BoolVar(&b.Embedded, "embedded", false, "have the server in this process")
	f.IntVar(&b.Replicas, "replicas", 1, "replicas of what is stored, each on a server of its own")
	f.StringVar(&b.sync, "sync-interval", "10ms", "how often the server forces what it has written to the disk, or always")
	f.IntVar(&b.Count, "count", 0, "how many a round does (default: the workload's)")
	durationVar(f, &b.For, "for", "how long a round begins new ones, in place of --count")
	f.IntVar(&b.warmup, "warmup", 0, "how many are done before the first round (default: a tenth of the count)")
	f.IntVar(&b.Rounds, "rounds", 5, "how many rounds")
	f.IntVar(&b.Payload, "payload", 300, "bytes of an input")
	f.IntVar(&b.Callers, "callers", 0, "how many enqueue at the same time (default: the workload's)")
	f.IntVar(&b.Slots, "slots", 500, "attempts that an executor runs at once")
	f.IntVar(&b.Executors, "executors", 0, "processes that execute; with 0, this one does")
	f.Float64Var(&b.Rate, "rate", 0, "executions a second that latency and delayed begin, whatever becomes of those before")
	f.IntVar(&b.Children, "children", 10, "children of a parent")
	f.IntVar(&b.Steps, "steps", 5, "steps of a sequence")
	b.Delay = 2 * time.Second
	durationVar(f, &b.Delay, "delay", "delay of what is delayed")
	f.IntVar(&b.Stored, "stored", 0, "finished executions that there are before")
	f.IntVar(&b.Waiting, "waiting", 0, "delayed executions that wait all the while")
	f.BoolVar(&b.NoFloor, "no-floor", false, "leave the floor out")
	f.StringVar(&b.CPUProfile, "cpu-profile", "", "file for the CPU profile of this process, over the last round, without the floor")
	f.StringVar(&b.html, "html", "", "file for a report with plots, that needs nothing else to be shown")
	return cmd
}

// settle completes the Config from the flags, or says what is wrong with them.
func (b *benchRun) settle(cmd *cobra.Command, args []string) error {
	if cmd.Flag("namespace").Changed {
		return usage("", "--namespace: bench makes one of its own, and removes it")
	}
	b.skipsEnvironment = true
	if err := b.check(cmd); err != nil {
		return err
	}
	for _, f := range b.login.list() {
		if cmd.Flag(f.name).Changed {
			return usage("--server nats://USER:PASSWORD@HOST:PORT", "--%s: processes of their own take part in bench, which get a URL and no more", f.name)
		}
	}
	b.Server = b.server
	if cmd.Flag("dir").Changed {
		b.Dir = b.dir
		if err := os.MkdirAll(b.Dir, 0o700); err != nil {
			return usage("", "--dir: %w", err)
		}
	}
	// Zero would mean the default to package bench.
	for name, value := range map[string]int{
		"count": b.Count, "rounds": b.Rounds, "payload": b.Payload, "callers": b.Callers, "slots": b.Slots,
		"children": b.Children, "steps": b.Steps, "replicas": b.Replicas,
	} {
		if cmd.Flag(name).Changed && value < 1 {
			return usage("", "--%s %d: less than 1", name, value)
		}
	}
	if cmd.Flag("for").Changed && b.For <= 0 {
		return usage("", "--for %s: no time", b.For)
	}
	if cmd.Flag("rate").Changed && b.Rate <= 0 {
		return usage("", "--rate %g: none", b.Rate)
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
			return usage("", "--sync-interval %s: neither always nor a time of 1ms or more", b.sync)
		default:
			b.SyncInterval = d
		}
	}
	if b.CPUProfile != "" && len(args) > 1 {
		return usage("durable bench WORKLOAD --cpu-profile FILE", "--cpu-profile is of one workload, not of %d", len(args))
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
	if b.json && !b.jsonl && len(reports) > 0 { // what was measured before it failed, too
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
		return &exitError{exitInterrupted, errors.New("interrupted: not everything was measured"), ""}
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
		return &exitError{exitInterrupted, fmt.Errorf("interrupted: nothing was measured of %s", name), ""}
	case errors.Is(err, bench.ErrConfig):
		return usage("", "%w", err)
	}
	return &exitError{exitStore, fmt.Errorf("bench %s: %w", name, err), ""}
}

// progress shows what is going on, where people see it.
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

// benchProcess is what bench starts this program as. Its output is for the one that
// has started it.
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

// benchText is a report in 80 columns.
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
		fmt.Fprintf(&t, "  %s\n", s.paint(yellow, "interrupted: these are the rounds until then"))
	}
	t.WriteString(benchTable(s, r))
	t.WriteByte('\n')
	return t.String()
}

// loadOf says what was done.
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
		text += fmt.Sprintf(", %g a second whatever becomes of those before", c.Rate)
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
		text += fmt.Sprintf("; %s finished and %s waiting before", grouped(c.Stored), grouped(c.Waiting))
	}
	return text
}

// wrapped writes a text in lines of at most 80 columns, set in by two.
func wrapped(t *strings.Builder, text string) {
	column := 0
	for word := range strings.FieldsSeq(text) {
		if column > 0 && column+1+len(word) > 80 {
			t.WriteByte('\n')
			column = 0
		}
		if column == 0 {
			t.WriteString("  ")
			column = 2
		} else {
			t.WriteByte(' ')
			column++
		}
		t.WriteString(word)
		column += len(word)
	}
	t.WriteByte('\n')
}

// benchTable is the figures, a line for each metric.
func benchTable(s screen, r *bench.Report) string {
	var t strings.Builder
	head := fmt.Sprintf("  %-22s %9s %9s %9s %9s %6s  %s", "", "median", "least", "most", "floor", "ratio", "unit")
	fmt.Fprintf(&t, "%s\n", s.paint(faint, head))
	for _, m := range r.Metrics {
		if strings.HasPrefix(m.Name, "stored") && m.Most == 0 && m.Floor == nil {
			continue // nothing of it: JSON has it
		}
		floor, ratio := "", ""
		if m.Floor != nil {
			floor, ratio = bench.Figure(m.Floor.Median), bench.Figure(m.Ratio.Median)
		}
		fmt.Fprintf(&t, "  %-22s %9s %9s %9s %9s %6s  %s\n", m.Label, bench.Figure(m.Median), bench.Figure(m.Least), bench.Figure(m.Most), floor, ratio, shortUnit(m.Unit, r.Noun))
	}
	return t.String()
}

// shortUnit is a unit in at most ten columns: what is counted is told above.
func shortUnit(unit, noun string) string {
	unit = strings.ReplaceAll(unit, " "+noun+"s", "")
	unit = strings.ReplaceAll(unit, noun+"s/s", "1/s")
	unit = strings.ReplaceAll(unit, "1/"+noun, "each")
	unit = strings.ReplaceAll(unit, "/"+noun, " each")
	unit = strings.ReplaceAll(unit, " children", "")
	return strings.ReplaceAll(unit, "% of a core", "% core")
}
