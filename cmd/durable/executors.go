package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/jsstore/api"
)

func (a *app) executors() *cobra.Command {
	return &cobra.Command{
		Use:   "executors",
		Short: "Show the executors: their queues, slots and states",
		Long: "Show the executors that answer within half a second. RUNNING is the number of\n" +
			"attempts that an executor runs, of its slots. PROGRAM is the main module of its\n" +
			"program, with its version; DURABLE is the version of this library in the program.\n" +
			"If the record of a running execution names an executor that does not answer, the\n" +
			"list shows that executor too, until another one takes over its executions. --json\n" +
			"prints the answer of the API's endpoint executors; --jsonl prints one executor per\n" +
			"line.",
		Args: exactly(0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := a.open(cmd)
			if err != nil {
				return err
			}
			defer s.close()
			present, err := s.RollCall(cmd.Context(), engine.RollCall{})
			if err != nil {
				return err
			}
			slices.SortFunc(present, func(x, y engine.Answer) int { return strings.Compare(x.Executor, y.Executor) })
			lost, err := s.lostOf(cmd.Context(), present)
			if err != nil {
				return err
			}
			if a.json {
				v := executorsView{Executors: []json.RawMessage{}, Lost: api.LostViews(lost)}
				for _, p := range present {
					one, err := engine.EncodePresence(p.Presence, math.MaxInt)
					if err != nil {
						return err
					}
					v.Executors = append(v.Executors, one)
				}
				return printAll(a, v.Executors, v)
			}
			a.printExecutors(present, lost.All(), time.Now())
			return nil
		},
	}
}

// An executorsView is the executors as --json prints them.
type executorsView struct {
	Executors []json.RawMessage `json:"executors"`
	// Lost are the executors that records name but that do not answer.
	Lost []*api.LostExecutor `json:"lostExecutors,omitempty"`
}

func (a *app) printExecutors(present []engine.Answer, lost []*engine.Lost, now time.Time) {
	if len(present)+len(lost) == 0 {
		fmt.Fprintf(a.out, "no executor answers; %s\n", a.place.named())
		return
	}
	t := plainTable()
	t.AppendHeader(table.Row{"EXECUTOR", "RUNNING", "QUEUES", "STATE", "UP", "PROGRAM", "DURABLE", "HOST", "PID"})
	running, slots := 0, 0
	for _, p := range present {
		running, slots = running+p.Running, slots+p.Slots
		state, colour := executorState(p.Presence)
		up := ""
		if !p.StartedAt.IsZero() {
			up = coarse(max(p.Now.Sub(p.StartedAt), 0))
		}
		t.AppendRow(table.Row{
			oneLine(p.Executor), grouped(p.Running) + " of " + grouped(p.Slots), oneLine(weights(p.Queues)), a.out.paint(colour, oneLine(state)),
			up, oneLine(programOf(p.Presence)), oneLine(cmp.Or(p.Version, "unknown")), oneLine(p.Host), p.PID,
		})
	}
	for _, e := range lost {
		t.AppendRow(table.Row{oneLine(e.Executor), grouped(e.Running), oneLine(queueNames(e)), a.out.paint(red, a.silence(e, now))})
	}
	fmt.Fprintln(a.out, a.fitting(t))
	fmt.Fprintf(a.out, "%s, %s of %s in use\n", count(len(present), "executor", "executors"), grouped(running), count(slots, "slot", "slots"))
}

// programOf returns the program of an executor: the last element of its module's path, and its
// version.
func programOf(p engine.Presence) string {
	name, version, _ := strings.Cut(p.Program, " ")
	return strings.TrimSpace(path.Base(cmp.Or(name, "unknown")) + " " + version)
}

// executorState describes the worst trouble of an executor, or says that it is fine. It also
// returns the colour of the text.
func executorState(p engine.Presence) (string, colour) {
	switch {
	case len(p.Failing) > 0:
		what := slices.MinFunc(slices.Collect(maps.Keys(p.Failing)), func(x, y string) int { return p.Failing[x].Compare(p.Failing[y]) })
		if key, ok := strings.CutPrefix(what, engine.NoKey); ok {
			return "lacks " + key, red
		}
		return what + " failing for " + coarse(max(p.Now.Sub(p.Failing[what]), 0)), red
	case p.Stopping:
		return "stopping", yellow
	case p.Strays > 0:
		return count(p.Strays, "stray", "strays"), yellow
	}
	return "fine", green
}

// weights lists queues, each with its weight if that is not 1.
func weights(queues map[string]int) string {
	var list []string
	for _, q := range slices.Sorted(maps.Keys(queues)) {
		if w := queues[q]; w != 1 {
			q = fmt.Sprintf("%s:%d", q, w)
		}
		list = append(list, q)
	}
	return strings.Join(list, ",")
}
