package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/jsstore/api"
)

func (a *app) tasks() *cobra.Command {
	return &cobra.Command{
		Use:   "tasks [TASK]",
		Short: "Show the tasks that executors have code for",
		Long: "Show the tasks that the executors have code for which answer within half a second;\n" +
			"with a TASK, its JSON Schemas too. QUEUE is where a task goes unless whoever enqueues\n" +
			"it says otherwise, SERVED the queues that its executors take from. A task is there\n" +
			"twice where executors see different types. With --json it prints what the endpoint\n" +
			"tasks of the API answers, with --jsonl a task a line.",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usage("usage: "+cmd.UseLine(), "tasks takes one task at most, not %d", len(args))
			}
			for _, task := range args {
				if err := engine.ValidateTask(task); err != nil {
					return usage("", "%w", err)
				}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := a.open(cmd)
			if err != nil {
				return err
			}
			defer s.close()
			present, err := s.RollCall(cmd.Context(), engine.RollCall{Schemas: true})
			if err != nil {
				return err
			}
			all := api.TasksOf(present)
			if len(args) == 1 {
				var names []string
				for _, t := range all.Tasks {
					names = append(names, t.ID)
				}
				all.Tasks = slices.DeleteFunc(all.Tasks, func(t api.Task) bool { return t.ID != args[0] })
				if len(all.Tasks) == 0 {
					return &exitError{exitNotFound, fmt.Errorf("no executor that answers has task %s", args[0]),
						meant(args[0], "", names, a.command("executors")+" shows who answers")}
				}
			}
			if all.Cut {
				a.note("an executor's answer was too long for a message: schemas or tasks are missing")
			}
			if a.json {
				return printAll(a, all.Tasks, all)
			}
			if len(args) == 1 {
				a.printTask(all.Tasks)
				return nil
			}
			a.printTasks(all.Tasks)
			return nil
		},
	}
}

func (a *app) printTasks(list []api.Task) {
	if len(list) == 0 {
		fmt.Fprintf(a.out, "no executor answers that has a task; %s\n", a.place.named())
		return
	}
	t := plainTable()
	widest := 0
	if w := a.out.width(); w > 0 {
		widest = max(w/4, 10) // a type may have a long name, and there are two
	}
	t.AppendHeader(table.Row{"TASK", "QUEUE", "SERVED", "EXECUTORS", "INPUT", "OUTPUT"})
	for _, task := range list {
		t.AppendRow(table.Row{oneLine(task.ID), oneLine(cmp.Or(task.Queue, "unknown")), oneLine(strings.Join(task.Queues, ",")), grouped(len(task.Executors)), snip(oneLine(task.Input), widest), snip(oneLine(task.Output), widest)})
	}
	fmt.Fprintln(a.out, a.fitting(t))
	fmt.Fprintln(a.out, count(len(list), "task", "tasks"))
}

// printTask prints the forms that executors have a task in, with their schemas.
func (a *app) printTask(forms []api.Task) {
	for i, t := range forms {
		if i > 0 {
			fmt.Fprintln(a.out)
		}
		line := func(label, text string) {
			fmt.Fprintf(a.out, "%s %s\n", a.out.paint(faint, fmt.Sprintf("%-10s", label)), text)
		}
		line("task", a.out.paint(bold, oneLine(t.ID)))
		line("queue", oneLine(cmp.Or(t.Queue, "unknown")))
		line("served", oneLine(strings.Join(t.Queues, ", ")))
		line("executors", oneLine(strings.Join(t.Executors, ", ")))
		line("input", oneLine(t.Input)+schemaLines(t.InputSchema))
		line("output", oneLine(t.Output)+schemaLines(t.OutputSchema))
	}
}

func schemaLines(schema json.RawMessage) string {
	var b bytes.Buffer
	if len(schema) == 0 || json.Indent(&b, schema, "           ", "  ") != nil {
		return ", without a schema"
	}
	return "\n           " + b.String()
}
