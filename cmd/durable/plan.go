package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/durable-execution/durable/engine"
)

// A job is the upload of one file: one execution of uploadFile.
type job struct {
	path  string
	input uploadInput
	id    string
	// found is what an earlier run left of it; its status is empty if it is new.
	found engine.Execution
}

func (j *job) isNew() bool { return j.found.Status == "" }

// known is what the store knows of uploads, by id.
type known map[string]engine.Execution

// recall reads what earlier runs have left.
func recall(ctx context.Context, s engine.Store) (known, error) {
	k := known{}
	for r, err := range s.List(ctx, engine.Filter{Task: uploadFile.ID()}) {
		if err != nil {
			return nil, fmt.Errorf("list the executions of earlier runs: %w", err)
		}
		if r.Parent == "" {
			k[r.ID] = r.Execution
		}
	}
	return k, nil
}

// latest returns the id of the latest execution for the job named base, and its
// number: base, base-2, base-3, ...
func (k known) numbers() map[string]int {
	latest := map[string]int{}
	for id := range k {
		base, n := numbered(id)
		latest[base] = max(latest[base], n)
	}
	return latest
}

// numbered takes an id apart: upload-abc-2 is the second execution of upload-abc.
func numbered(id string) (base string, n int) {
	i := strings.LastIndexByte(id, '-')
	if n, err := strconv.Atoi(id[i+1:]); err == nil && n >= 2 && strings.Contains(id[:max(i, 0)], "-") {
		return id[:i], n
	}
	return id, 1
}

// A plan is what a run of the demo has to see through.
type plan struct {
	// jobs are the files that were asked for, in the order of their paths.
	jobs []*job
	// adopted are executions of earlier runs that have not finished, of files that
	// were not asked for this time.
	adopted []*job
	// before counts what earlier runs have left of both.
	before tally
}

// all are the jobs and the adopted ones.
func (p plan) all() []*job { return slices.Concat(p.jobs, p.adopted) }

// planned decides which execution stands for each file. One that has completed
// or is under way does. One that finished otherwise is followed by the next; with
// afresh, so is one that has completed.
func planned(files []file, target string, k known, afresh bool) plan {
	var p plan
	latest := k.numbers()
	mine := map[string]bool{}
	for _, f := range files {
		id := idOf(f, target)
		n := max(latest[id], 1)
		found := k[withNumber(id, n)]
		p.before.add(found)
		if found.Status.Finished() && (afresh || found.Status != engine.Completed) {
			found, n = engine.Execution{}, n+1
		}
		j := &job{
			path: f.path, id: withNumber(id, n), found: found,
			input: uploadInput{FilePath: f.path, UploadURL: fileURL(target)},
		}
		mine[j.id] = true
		p.jobs = append(p.jobs, j)
	}
	for id, x := range k {
		if mine[id] || x.Status.Finished() {
			continue
		}
		p.before.add(x)
		j := &job{id: id, found: x, path: "?"}
		if x.Input.Decode(&j.input) == nil {
			j.path = j.input.FilePath
		}
		p.adopted = append(p.adopted, j)
	}
	slices.SortFunc(p.adopted, func(x, y *job) int { return strings.Compare(x.path, y.path) })
	return p
}

func withNumber(base string, n int) string {
	if n == 1 {
		return base
	}
	return base + "-" + strconv.Itoa(n)
}

// A tally counts executions by how far they have come.
type tally struct{ completed, failed, running, waiting, retrying, queued, new int }

func (t *tally) add(x engine.Execution) {
	switch {
	case x.Status == "", x.Status == statusUnqueued:
		t.new++
	case x.Status == engine.Completed:
		t.completed++
	case x.Status.Finished():
		t.failed++
	case x.Status == engine.Running:
		t.running++
	case x.Status != engine.Ready:
		t.waiting++
	case len(x.History) > 0:
		t.retrying++
	default:
		t.queued++
	}
}

// String lists what there is any of.
func (t tally) String() string {
	var parts []string
	for _, p := range []struct {
		n    int
		what string
	}{
		{t.completed, "completed"}, {t.failed, "failed, will run again"}, {t.running, "running"}, {t.waiting, "waiting for children"},
		{t.retrying, "waiting for a retry"}, {t.queued, "queued"}, {t.new, "not yet queued"},
	} {
		if p.n > 0 {
			parts = append(parts, grouped(p.n)+" "+p.what)
		}
	}
	return strings.Join(parts, ", ")
}
