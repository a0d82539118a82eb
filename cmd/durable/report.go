package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/jsstore/embedded"
)

// greet prints the store and the files that the demo works with, and what earlier runs left.
func (d *demo) greet(in *inputs, p plan, wasThere bool) {
	line := func(label, format string, args ...any) {
		fmt.Fprintf(d.say, "%s %s\n", d.say.paint(faint, fmt.Sprintf("%-9s", label)), fmt.Sprintf(format, args...))
	}
	if d.server != "" {
		line("store", "%s, namespace %s", redacted(d.server), d.namespace)
	} else {
		place := d.dir
		if !wasThere {
			place += " (new)"
		}
		line("store", "%s", place)
		for _, part := range strings.Split(embedded.Config{}.Durability(), "; ") {
			line("", "%s", d.say.paint(faint, part))
		}
		line("server", "%s, for other terminals: %s", d.store.url, d.say.paint(bold, d.command("list")))
	}
	line("uploads", "%s", d.target)
	files := count(len(in.files), "file", "files")
	if in.from != "" {
		files += " of " + in.from
	}
	if in.skipped > 0 {
		files += "; skipped " + count(in.skipped, "entry that is not a file", "entries that are not files")
	}
	line("files", "%s", files)
	before := p.before
	before.new = 0
	switch before {
	case tally{}:
	case tally{completed: before.completed}:
		line("recovered", "%s", before)
	default:
		line("recovered", "%s", before)
		line("", "%s", d.say.paint(faint, "unfinished files continue where they were; completed ones don't run again"))
	}
	if len(p.adopted) > 0 {
		line("", "%s not named this time: the demo finishes them too",
			count(len(p.adopted), "unfinished file was", "unfinished files were"))
	}
}

// refuse prints the paths that can't be uploaded at all, and returns their results.
func (d *demo) refuse(in *inputs) []result {
	var results []result
	for _, r := range in.refused {
		results = append(results, result{File: r.path, Status: statusRefused, Error: r.reason})
		if d.json {
			_ = printJSON(d.out, results[len(results)-1]) // the writer keeps the error
			continue
		}
		fmt.Fprintf(d.say, "%s  %s: %s\n", d.say.paint(red, "refused"), shortPath(r.path), oneLine(r.reason))
	}
	return results
}

// left counts the executions that have not finished.
func left(results []result) tally {
	var t tally
	for _, r := range results {
		if !r.Status.Finished() && r.Error == "" {
			t.add(engine.Execution{Status: r.Status, History: make([]engine.Attempt, r.Attempts)})
		}
	}
	return t
}

// interrupted prints what is left for the next run.
func (d *demo) interrupted(results []result) error {
	completed := 0
	for _, r := range results {
		if r.completed() {
			completed++
		}
	}
	fmt.Fprintf(d.say, "stopped: %s of %s completed; unfinished: %s\n", grouped(completed), count(len(results), "file", "files"), left(results))
	fmt.Fprintln(d.say, "run the same command again to continue")
	return &exitError{code: exitInterrupted}
}

// conclude prints the results, and returns an error if a file was not uploaded.
func (d *demo) conclude(ctx context.Context, results []result, took time.Duration) error {
	incomplete := slices.ContainsFunc(results, func(r result) bool { return !r.completed() })
	if d.json {
		fmt.Fprintln(d.say, d.verdict(results, span(took)))
	} else if err := d.show(ctx, results, span(took)); err != nil {
		return err
	}
	if incomplete {
		return &exitError{code: exitIncomplete}
	}
	return nil
}

// show prints the table of results and one of the trees.
func (d *demo) show(ctx context.Context, results []result, took string) error {
	d.printResults(results, took)
	id := worthSeeing(results)
	if id == "" {
		return nil
	}
	n, err := grow(ctx, d.store, id)
	if err != nil {
		return fmt.Errorf("tree of %s: %w", id, err)
	}
	fmt.Fprintf(d.say, "\none of the trees: %s\n\n", d.say.paint(bold, d.command("tree "+id)))
	d.printTree(n, time.Now(), 0)
	return nil
}

// worthSeeing returns the id of the most eventful execution: a completed one if there is
// any, then one with most attempts and crashes, then one that an earlier run began and this
// run finished, then one of this run, then the first.
func worthSeeing(results []result) string {
	best, most := "", -1
	for _, r := range results {
		n := 2*(r.Attempts+r.Crashes) + 1
		switch {
		case r.Recovered.Active():
			n++
		case r.Recovered.Finished():
			n--
		}
		if r.completed() {
			n += 1000
		}
		if r.ID != "" && n > most {
			best, most = r.ID, n
		}
	}
	return best
}
