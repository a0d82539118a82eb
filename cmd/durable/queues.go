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

// pauseForever is what a pause without an end lasts: the server wants one.
const pauseForever = 100 * 365 * 24 * time.Hour

func (a *app) queues() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "queues",
		Short: "Show the queues: what waits, what runs, limits and pauses",
		Long: "Show the queues that executors serve or have served: READY counts what is due and\n" +
			"not taken, IN HAND what executors hold, those included that do not answer any more,\n" +
			"OLDEST is the age of the oldest of these, LIMIT bounds what the whole fleet may hold.\n" +
			"With --json it prints what the endpoint queues of the API answers, with --jsonl a\n" +
			"queue a line.",
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
				return fmt.Errorf("look at the queues: %w", err)
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

// queueTable is a row for each queue.
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

// printWaiting says what is in no queue that is served.
func (a *app) printWaiting(all api.Queues) {
	if all.Later > 0 {
		fmt.Fprintf(a.out, "%s for a time to come, the ends of retentions included\n", count(int(all.Later), "message waits", "messages wait"))
	}
	if all.Unserved > 0 {
		fmt.Fprintf(a.out, "%s in queues that nobody has ever served\n", count(int(all.Unserved), "execution waits", "executions wait"))
	}
}

// paused says until when a queue is paused, and why.
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
		Short: "Let executors take nothing more from a queue",
		Long: "Let executors take nothing more from a queue, for a time or until it is resumed.\n" +
			"What they have in hand goes on; what is enqueued waits.",
		Args: queueName(1, "one queue"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if lasts <= 0 {
				return usage("", "--for %s: want more than nothing", lasts)
			}
			until := time.Now().Add(lasts)
			c := queueChange{Queue: args[0], Done: "paused", PausedUntil: until.UnixMilli(), PauseReason: reason}
			how := "until it is resumed"
			if cmd.Flags().Changed("for") {
				how = "until " + a.stamp(until)
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
		Short: "Let executors take from a queue again",
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
		Short: "Bound what all executors together have in hand of a queue",
		Long: "Bound what all executors together have in hand of a queue; none takes the bound\n" +
			"away. Executors need not be told, and what is in hand goes on.",
		Args: queueName(2, "a queue and a number"),
		RunE: func(cmd *cobra.Command, args []string) error {
			n, how := jsstore.NoLimit, "no more"
			c := queueChange{Queue: args[0], Done: "limited", MaxInFlight: -1}
			if args[1] != "none" {
				var err error
				if n, err = strconv.Atoi(args[1]); err != nil || n < 1 {
					return usage("durable queues pause lets nothing run; none takes the limit away", "limit %q: want 1 at least, or none", args[1])
				}
				c.MaxInFlight, how = n, "to "+grouped(n)+" in hand"
			}
			return a.changeQueue(cmd, c, how, func(ctx context.Context, s *jsstore.Store) error {
				return s.LimitQueue(ctx, args[0], n)
			})
		},
	}
}

// queueName is an argument check: n arguments, of which the first is a queue.
func queueName(n int, what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if err := exactly(n, what)(cmd, args); err != nil {
			return err
		}
		if err := engine.ValidateQueue(args[0]); err != nil {
			return usage("durable queues shows them", "%w", err)
		}
		return nil
	}
}

// changeQueue changes a queue that is there, and says what was done.
func (a *app) changeQueue(cmd *cobra.Command, c queueChange, how string, change func(context.Context, *jsstore.Store) error) error {
	s, err := a.open(cmd)
	if err != nil {
		return err
	}
	defer s.close()
	err = change(cmd.Context(), s.js)
	if errors.Is(err, jsstore.ErrMissing) {
		return &exitError{exitNotFound, fmt.Errorf("there is no queue %s", c.Queue),
			a.command("queues") + " shows those that there are; one is made when it is first served"}
	}
	if err != nil {
		return err
	}
	if a.json {
		return printJSON(a.out, c)
	}
	_, err = fmt.Fprintln(a.out, strings.TrimSpace(c.Done+" queue "+c.Queue+" "+how))
	return err
}
