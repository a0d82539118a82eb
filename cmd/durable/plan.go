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
	// found is the execution that an earlier run left; its status is empty if there is none.
	found engine.Execution
}

func (j *job) isNew() bool { return j.found.Status == "" }

// A known holds the uploads in the store, by id.
type known map[string]engine.Execution

// recall reads the executions of earlier runs.
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

// numbers returns the number of the latest execution for each base id. The executions of a
// file have the ids base, base-2, base-3, ...
func (k known) numbers() map[string]int {
	latest := map[string]int{}
	for id := range k {
		base, n := numbered(id)
		latest[base] = max(latest[base], n)
	}
	return latest
}

// numbered splits an id into its base and its number: upload-abc-2 is the second execution of
// upload-abc.
func numbered(id string) (base string, n int) {
	i := strings.LastIndexByte(id, '-')
	if n, err := strconv.Atoi(id[i+1:]); err == nil && n >= 2 && strings.Contains(id[:max(i, 0)], "-") {
		return id[:i], n
	}
	return id, 1
}

// A plan holds the uploads that a run of the demo has to finish.
type plan struct {
	// jobs are the uploads of the files that the user named, in the order of their paths.
	jobs []*job
	// adopted are unfinished uploads of earlier runs, of files that the user did not name
	// this time.
	adopted []*job
	// before counts the executions that earlier runs left for both.
	before tally
}

// all returns the jobs and the adopted ones.
func (p plan) all() []*job { return slices.Concat(p.jobs, p.adopted) }

// planned decides which execution uploads each file. It keeps an execution that has completed
// or has not finished. If the execution finished otherwise, or if it completed and afresh is
// true, it plans a new execution with the next number.
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

// A tally counts executions by their progress.
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

// String lists the counts that are not zero.
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
