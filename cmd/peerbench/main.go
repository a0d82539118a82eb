package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"
)

// The services die with the thread that started them, if all else fails: see start.
func init() { runtime.LockOSThread() }

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := command(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func command(ctx context.Context, args []string) error {
	if len(args) > 0 {
		switch args[0] {
		case natsCommand:
			return serveNATS(args[1:])
		case measureCommand:
			return measureChild(ctx, os.Stdin, os.Stdout, os.Stderr)
		}
	}
	return compare(ctx, args, os.Stdout, os.Stderr)
}

// compare measures what args select, and prints it.
func compare(ctx context.Context, args []string, out, progress io.Writer) error {
	flags := flag.NewFlagSet("peerbench", flag.ContinueOnError)
	flags.SetOutput(progress)
	installs := flags.Bool("install", false, "install what is missing first: Debian's packages postgresql and redis-server, Temporal's development server")
	only := flags.String("rows", "", "measure only the rows whose name matches this regular expression; -list prints the names")
	columns := flags.String("workloads", "", "measure only these workloads, separated by commas: single, bulk, fan-out, sequence, latency")
	list := flags.Bool("list", false, "print the names of the rows and exit")
	rounds := flags.Int("rounds", 5, "how many rounds of each workload; the report shows their median")
	length := flags.Duration("round", 3*time.Second, "how long a round should take")
	limit := flags.Duration("limit", 3*time.Minute, "how long a round may take before it is given up")
	count := flags.Int("count", 0, "run exactly this count in each round, without warm-up, instead of a count that fills a round")
	dir := flags.String("dir", "", "directory for the files of the services, on the disk to measure (default the directory for temporary files)")
	markdown := flags.String("markdown", "", "write the tables to this file too, in Markdown")
	jsonFile := flags.String("json", "", "write all measurements to this file too, as JSON")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("unexpected arguments %q: peerbench takes flags only", flags.Args())
	}
	if *rounds < 1 || *length <= 0 || *limit <= 0 || *count < 0 {
		return fmt.Errorf("-rounds, -round and -limit must be positive, and -count must not be negative")
	}
	selected, err := selectRows(*only)
	if err != nil {
		return err
	}
	p := plan{Rounds: *rounds, Round: *length, Limit: *limit, Count: *count}
	if p.Only, err = selectWorkloads(*columns); err != nil {
		return err
	}
	if *list {
		for _, r := range selected {
			fmt.Fprintln(out, r.name())
		}
		return nil
	}
	var troubles []string
	if *installs {
		troubles = install(ctx, progress)
		for _, t := range troubles {
			fmt.Fprintln(progress, t)
		}
	}
	base, err := os.MkdirTemp(*dir, "peerbench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(base)
	if err := os.Chmod(base, 0o755); err != nil { // PostgreSQL does not run as root, so another user must be able to enter
		return err
	}
	r := measureAll(ctx, selected, p, base, progress)
	r.Troubles = troubles
	return errors.Join(context.Cause(ctx), r.publish(out, *markdown, *jsonFile))
}

func selectRows(pattern string) ([]row, error) {
	match, err := regexp.Compile(pattern)
	if err != nil {
		return nil, err
	}
	var selected []row
	for _, r := range rows {
		if match.MatchString(r.name()) {
			selected = append(selected, r)
		}
	}
	if len(selected) == 0 {
		return nil, fmt.Errorf("no row matches %q: -list prints them", pattern)
	}
	return selected, nil
}

func selectWorkloads(list string) ([]workload, error) {
	if list == "" {
		return workloads, nil
	}
	var selected []workload
	for _, name := range strings.Split(list, ",") {
		w := workload(strings.TrimSpace(name))
		if !slices.Contains(workloads, w) {
			return nil, fmt.Errorf("no workload is called %q: they are %v", w, workloads)
		}
		selected = append(selected, w)
	}
	return selected, nil
}

// measureAll measures the rows one after the other. When ctx ends, it returns the rows so far.
func measureAll(ctx context.Context, selected []row, p plan, base string, progress io.Writer) report {
	r := newReport(p, base)
	for _, row := range selected {
		if ctx.Err() != nil {
			break
		}
		line := line{System: row.System, Level: row.Level, Settles: row.Settles, Module: row.Module, Version: row.version(),
			Remarks: row.Remarks, Figures: map[workload]figure{}}
		fmt.Fprintf(progress, "%s\n", row.name())
		for _, w := range p.Only {
			f, version := row.run(ctx, base, w, p, progress)
			if ctx.Err() != nil {
				break
			}
			if f.Missing != "" {
				fmt.Fprintf(progress, "  %-9s %s\n", w, f.Missing)
			}
			line.Figures[w] = f
			if version != "" {
				line.Service = version
			}
		}
		if len(line.Figures) > 0 {
			r.Lines = append(r.Lines, line)
		}
	}
	return r
}
