package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"github.com/durable-execution/durable/codec"
	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/jsstore"
	"github.com/durable-execution/durable/jsstore/api"
)

// pauseForever is the length of a pause without an end: the server requires one.
const pauseForever = 100 * 365 * 24 * time.Hour

func (a *app) queues() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "queues",
		Short: "Show the queues: waiting and running work, limits and pauses",
		Long: "Show the queues that executors serve or have served. READY is the number of\n" +
			"executions that are due and that no executor has taken. IN HAND is the number that\n" +
			"executors hold, including executors that have stopped answering. OLDEST is the age of\n" +
			"the oldest of both. LIMIT is how many the whole fleet may hold at once. --json prints\n" +
			"the answer of the API's endpoint queues; --jsonl prints one queue per line.",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return unknownCommand(cmd, args[0])
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := a.open(cmd)
			if err != nil {
				return err
			}
			defer s.close()
			all, err := s.js.ListQueues(cmd.Context())
			if err != nil {
				return fmt.Errorf("list the queues: %w", err)
			}
			present, err := s.RollCall(cmd.Context(), engine.RollCall{})
			if err != nil {
				return err
			}
			all.Count(present)
			lost, err := s.lostOf(cmd.Context(), present)
			if err != nil {
				return err
			}
			all.Lose(lost)
			slices.SortFunc(all.Queues, func(x, y api.Queue) int { return strings.Compare(x.Queue, y.Queue) })
			if a.json {
				return printAll(a, all.Queues, all)
			}
			a.printQueues(all, lost, time.Now())
			return nil
		},
	}
	cmd.AddCommand(a.completes(a.queuePause(), false, someQueue), a.completes(a.queueResume(), false, someQueue), a.completes(a.queueLimit(), false, someQueue))
	return cmd
}

func (a *app) printQueues(all api.Queues, lost engine.LostExecutors, now time.Time) {
	if len(all.Queues) == 0 {
		fmt.Fprintf(a.out, "no queues; %s\n", a.place.named())
	} else {
		fmt.Fprintln(a.out, a.fitting(a.queueTable(all.Queues, now)))
	}
	a.printWaiting(all)
	a.printLost(lost, now)
}

// queueTable returns a table with a row for each queue.
func (a *app) queueTable(list []api.Queue, now time.Time) *grid {
	t := plainTable()
	t.AppendHeader(table.Row{"QUEUE", "READY", "IN HAND", "OLDEST", "LIMIT", "EXECUTORS", "PAUSED"})
	for _, q := range list {
		oldest, limit := "", "none"
		if q.OldestAt > 0 {
			age, _ := codec.Millis(q.OldestMS)
			oldest = coarse(age)
		}
		if q.MaxInFlight > 0 {
			limit = grouped(q.MaxInFlight)
		}
		executors := grouped(q.Executors)
		if q.Executors == 0 && q.Ready > 0 {
			executors = a.out.paint(red, executors)
		}
		t.AppendRow(table.Row{q.Queue, grouped(int(q.Ready)), grouped(q.InHand), oldest, limit, executors, a.out.paint(yellow, a.paused(q, now))})
	}
	return t
}

// printWaiting prints how many timers are pending, and how many executions wait in queues that
// no executor has served.
func (a *app) printWaiting(all api.Queues) {
	if all.Later > 0 {
		fmt.Fprintf(a.out, "%s for a later time, including the ends of retentions\n", count(int(all.Later), "message waits", "messages wait"))
	}
	if all.Unserved > 0 {
		fmt.Fprintf(a.out, "%s in queues that no executor has ever served\n", count(int(all.Unserved), "execution waits", "executions wait"))
	}
}

// paused returns until when a queue is paused, and why; empty if it is not paused.
func (a *app) paused(q api.Queue, now time.Time) string {
	if !q.Paused {
		return ""
	}
	s := "until resumed"
	if until := time.UnixMilli(q.PausedUntil); until.Sub(now) < pauseForever/2 {
		s = "ends " + a.moment(until, now)
	}
	if q.PauseReason != "" {
		s += ": " + oneLine(q.PauseReason)
	}
	return s
}

// A queueChange is what a command did to a queue, as --json prints it.
type queueChange struct {
	Queue       string `json:"queue"`
	Done        string `json:"done"` // paused, resumed or limited
	PausedUntil int64  `json:"pausedUntil,omitempty"`
	PauseReason string `json:"pauseReason,omitempty"`
	MaxInFlight int    `json:"maxInFlight,omitempty"` // -1 is no bound
}

func (a *app) queuePause() *cobra.Command {
	var lasts time.Duration
	var reason string
	cmd := &cobra.Command{
		Use:   "pause QUEUE",
		Short: "Pause a queue: executors take no more work from it",
		Long: "Pause a queue, for a time or until durable queues resume: executors take no more work\n" +
			"from it. They finish the executions that they hold; newly enqueued ones wait.",
		Args: queueName(1, "one queue"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if lasts <= 0 {
				return usage("", "--for %s: want more than 0", lasts)
			}
			until := time.Now().Add(lasts)
			c := queueChange{Queue: args[0], Done: "paused", PausedUntil: until.UnixMilli(), PauseReason: reason}
			how := " until it is resumed"
			if cmd.Flags().Changed("for") {
				how = " until " + a.stamp(until)
			}
			return a.changeQueue(cmd, c, how, func(ctx context.Context, s *jsstore.Store) error {
				if err := s.ExplainPause(ctx, args[0], reason); err != nil {
					return err
				}
				return s.PauseQueue(ctx, args[0], until)
			})
		},
	}
	lasts = pauseForever
	durationVar(cmd.Flags(), &lasts, "for", "how long")
	cmd.Flag("for").DefValue = "until it is resumed"
	cmd.Flags().StringVar(&reason, "reason", "", "why; durable queues shows it")
	return cmd
}

func (a *app) queueResume() *cobra.Command {
	return &cobra.Command{
		Use:   "resume QUEUE",
		Short: "Resume a paused queue",
		Args:  queueName(1, "one queue"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.changeQueue(cmd, queueChange{Queue: args[0], Done: "resumed"}, "", func(ctx context.Context, s *jsstore.Store) error {
				return s.PauseQueue(ctx, args[0], time.Time{})
			})
		},
	}
}

func (a *app) queueLimit() *cobra.Command {
	return &cobra.Command{
		Use:   "limit QUEUE N",
		Short: "Limit how many executions of a queue run at once",
		Long: "Limit how many executions of a queue all executors together may hold at once. N is a\n" +
			"number, or none to remove the limit. Running executors obey the new limit at once,\n" +
			"and finish the executions that they hold.",
		Args: queueName(2, "a queue and a number"),
		RunE: func(cmd *cobra.Command, args []string) error {
			n, how := jsstore.NoLimit, ": no limit"
			c := queueChange{Queue: args[0], Done: "limited", MaxInFlight: -1}
			if args[1] != "none" {
				var err error
				if n, err = strconv.Atoi(args[1]); err != nil || n < 1 {
					return usage("none removes the limit; durable queues pause stops the queue", "limit %q: want a number of at least 1, or none", args[1])
				}
				c.MaxInFlight, how = n, ": at most "+grouped(n)+" in hand"
			}
			return a.changeQueue(cmd, c, how, func(ctx context.Context, s *jsstore.Store) error {
				return s.LimitQueue(ctx, args[0], n)
			})
		},
	}
}

// queueName returns an argument check: there must be n arguments, and the first must be the
// name of a queue.
func queueName(n int, what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if err := exactly(n, what)(cmd, args); err != nil {
			return err
		}
		if err := engine.ValidateQueue(args[0]); err != nil {
			return usage("durable queues lists them", "%w", err)
		}
		return nil
	}
}

// changeQueue calls change, and prints what it did to the queue, or that there is no such queue.
func (a *app) changeQueue(cmd *cobra.Command, c queueChange, how string, change func(context.Context, *jsstore.Store) error) error {
	s, err := a.open(cmd)
	if err != nil {
		return err
	}
	defer s.close()
	err = change(cmd.Context(), s.js)
	if errors.Is(err, jsstore.ErrMissing) {
		return &exitError{exitNotFound, fmt.Errorf("there is no queue %s", c.Queue),
			a.command("queues") + " lists the queues; an executor creates a queue when it first serves it"}
	}
	if err != nil {
		return err
	}
	if a.json {
		return printJSON(a.out, c)
	}
	_, err = fmt.Fprintln(a.out, c.Done+" queue "+c.Queue+how)
	return err
}
