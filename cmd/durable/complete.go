package main

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/durable-execution/durable/engine"
)

const (
	// completionWait is the longest time that the shell waits after the user pressed tab.
	completionWait = time.Second
	// completionRoll is how much of that time executors have to answer.
	completionRoll = 150 * time.Millisecond
	// completionMost is the greatest number of ids to offer: more would not help the user.
	completionMost = 100
)

// A completer returns the values of an argument that begin with typed.
type completer func(ctx context.Context, s *store, typed string) []string

// completes makes the shell complete the first argument of a command, or each argument. If
// find takes too long, or fails, it offers nothing: the shell could show no error.
func (a *app) completes(cmd *cobra.Command, each bool, find completer) *cobra.Command {
	cmd.ValidArgsFunction = func(cmd *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 && !each {
			return nil, cobra.ShellCompDirectiveDefault // the shell may offer files
		}
		ctx, cancel := context.WithTimeout(cmd.Context(), completionWait)
		defer cancel()
		if a.place.check(cmd) != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		s, err := a.look(ctx)
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		defer s.close()
		return find(ctx, s, typed), cobra.ShellCompDirectiveNoFileComp
	}
	return cmd
}

// someID returns the ids of executions, the latest first.
func someID(ctx context.Context, s *store, typed string) []string {
	var found []engine.Execution
	for x, err := range engine.NewClient(s).List(ctx, engine.Filter{}) {
		if err != nil {
			break
		}
		if strings.HasPrefix(x.ID, typed) && (x.Parent == "" || strings.Contains(typed, ".")) { // offer children only once the user has typed the dot
			found = append(found, x)
		}
	}
	slices.SortFunc(found, func(x, y engine.Execution) int { return y.CreatedAt.Compare(x.CreatedAt) })
	var list []string
	for _, x := range found[:min(len(found), completionMost)] {
		list = append(list, x.ID+"\t"+x.Task+", "+x.Display(time.Now(), false))
	}
	return list
}

// someTask returns the tasks that executors have code for.
func someTask(ctx context.Context, s *store, typed string) []string {
	answers, err := s.RollCall(ctx, engine.RollCall{For: completionRoll})
	if err != nil {
		return nil
	}
	var list []string
	for _, a := range answers {
		for _, t := range a.Tasks {
			if strings.HasPrefix(t.ID, typed) && !isFinalize(t.ID) {
				list = append(list, t.ID+"\t"+t.Input)
			}
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// someQueue returns the names of queues.
func someQueue(ctx context.Context, s *store, typed string) []string {
	all, err := s.js.ListQueues(ctx)
	if err != nil {
		return nil
	}
	var list []string
	for _, q := range all.Queues {
		if strings.HasPrefix(q.Queue, typed) {
			list = append(list, q.Queue)
		}
	}
	slices.Sort(list)
	return list
}
