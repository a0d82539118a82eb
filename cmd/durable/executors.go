package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"github.com/durable-execution/durable/engine"
)

func (a *app) executors() *cobra.Command {
	return &cobra.Command{
		Use:   "executors",
		Short: "Show who executes: queues, slots, what runs, what fails",
		Long: "Show the executors that answer within half a second. RUNNING is of so many slots.\n" +
			"With --json it prints what the endpoint executors of the API answers, with --jsonl\n" +
			"an executor a line.",
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
			if a.json {
				v := executorsView{Executors: []json.RawMessage{}}
				for _, p := range present {
					one, err := engine.EncodePresence(p.Presence, math.MaxInt)
					if err != nil {
						return err
					}
					v.Executors = append(v.Executors, one)
				}
				return printAll(a, v.Executors, v)
			}
			a.printExecutors(present)
			return nil
		},
	}
}

// An executorsView is the executors as --json prints them.
type executorsView struct {
	Executors []json.RawMessage `json:"executors"`
}

func (a *app) printExecutors(present []engine.Answer) {
	if len(present) == 0 {
		fmt.Fprintf(a.out, "no executor answers; %s\n", a.place.named())
		return
	}
	t := plainTable()
	t.AppendHeader(table.Row{"EXECUTOR", "RUNNING", "QUEUES", "STATE", "UP", "VERSION", "HOST", "PID"})
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
			up, oneLine(cmp.Or(p.Version, "unknown")), oneLine(p.Host), p.PID,
		})
	}
	fmt.Fprintln(a.out, a.fitting(t))
	fmt.Fprintf(a.out, "%s, %s of %s in use\n", count(len(present), "executor", "executors"), grouped(running), count(slots, "slot", "slots"))
}

// executorState says what is wrong with an executor, if anything is.
func executorState(p engine.Presence) (string, colour) {
	switch {
	case len(p.Failing) > 0:
		what := slices.MinFunc(slices.Collect(maps.Keys(p.Failing)), func(x, y string) int { return p.Failing[x].Compare(p.Failing[y]) })
		return what + " fails for " + coarse(max(p.Now.Sub(p.Failing[what]), 0)), red
	case p.Stopping:
		return "stopping", yellow
	case p.Strays > 0:
		return count(p.Strays, "stray", "strays"), yellow
	}
	return "fine", green
}

// weights are queues, with their weights where these differ from 1.
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
