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
		Short: "List the tasks that executors have code for",
		Long: "List the tasks that executors have code for, as those executors report that answer\n" +
			"within half a second. With a TASK, print its JSON Schemas too. QUEUE is\n" +
			"the queue that a task goes to unless the caller names another; SERVED are the queues\n" +
			"that its executors take work from. If executors have different types for a task, it\n" +
			"is listed once for each. --json prints the answer of the API's endpoint tasks;\n" +
			"--jsonl prints one task per line.",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usage("usage: "+cmd.UseLine(), "tasks takes at most one task, not %d", len(args))
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
					return &exitError{exitNotFound, fmt.Errorf("no executor that answered has task %s", args[0]),
						meant(args[0], "", names, a.command("executors")+" lists the executors that answer")}
				}
			}
			if all.Cut {
				a.note("an executor's answer was too long for one message: some tasks or schemas are missing")
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
		fmt.Fprintf(a.out, "no executor with a task answered; %s\n", a.place.named())
		return
	}
	t := plainTable()
	widest := 0
	if w := a.out.width(); w > 0 {
		widest = max(w/4, 10) // two columns show types, whose names may be long
	}
	t.AppendHeader(table.Row{"TASK", "QUEUE", "SERVED", "EXECUTORS", "INPUT", "OUTPUT"})
	for _, task := range list {
		t.AppendRow(table.Row{oneLine(task.ID), oneLine(cmp.Or(task.Queue, "unknown")), oneLine(strings.Join(task.Queues, ",")), grouped(len(task.Executors)), snip(oneLine(task.Input), widest), snip(oneLine(task.Output), widest)})
	}
	fmt.Fprintln(a.out, a.fitting(t))
	fmt.Fprintln(a.out, count(len(list), "task", "tasks"))
}

// printTask prints the forms of a task, with their schemas: more than one if executors have
// different types for it.
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
	return "\n           " + printableText(b.String())
}
