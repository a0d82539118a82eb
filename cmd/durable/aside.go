package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/jsstore"
)

// An asideView is a set-aside message or record, as --json prints it.
type asideView struct {
	Name   string `json:"name"`
	ID     string `json:"executionId,omitempty"`
	Kind   string `json:"kind"` // message or record
	Place  string `json:"place"`
	Reason string `json:"reason"`
	At     int64  `json:"at"`
	Bytes  int    `json:"bytes"`
}

// An asidesView is the document that list --set-aside prints with --json.
type asidesView struct {
	Aside []asideView `json:"setAside"`
	// Cut means that --limit left some entries out.
	Cut bool `json:"isCut,omitempty"`
}

// listAside prints at most limit set-aside messages and records; limit 0 means all.
func (a *app) listAside(ctx context.Context, s engine.Store, limit int) error {
	var list []engine.Aside
	found := 0
	for aside, err := range s.Aside(ctx) {
		if err != nil {
			return fmt.Errorf("list messages that were set aside: %w", err)
		}
		if found++; limit == 0 || found <= limit {
			list = append(list, aside)
		}
	}
	if a.json {
		v := asidesView{Aside: []asideView{}, Cut: len(list) < found}
		for _, aside := range list {
			v.Aside = append(v.Aside, asideView{Name: aside.Name, ID: aside.ID, Kind: sortOf(aside), Place: aside.Place, Reason: aside.Reason, At: aside.At.UnixMilli(), Bytes: aside.Size})
		}
		return printAll(a, v.Aside, v)
	}
	if found == 0 {
		fmt.Fprintf(a.out, "no message or record is set aside; %s\n", a.place.named())
		return nil
	}
	t, now := plainTable(), time.Now()
	t.whole[0] = true // putback and forget take the whole name
	t.AppendHeader(table.Row{"NAME", "WHAT", "PLACE", "SENT", "REASON"})
	for _, aside := range list {
		t.AppendRow(table.Row{aside.Name, sortOf(aside), oneLine(aside.Place), a.moment(aside.At, now), oneLine(aside.Reason)})
	}
	fmt.Fprintln(a.out, a.fitting(t))
	if found > len(list) {
		fmt.Fprintf(a.out, "%s of %s; --limit 0 lists all\n", grouped(len(list)), count(found, "entry", "entries"))
	}
	fmt.Fprintf(a.out, "%s republishes a message, %s deletes it\n", a.command("putback NAME"), a.command("forget NAME"))
	return nil
}

func sortOf(a engine.Aside) string {
	if a.Record {
		return "record"
	}
	return "message"
}

func (a *app) putBack() *cobra.Command {
	return a.setAsideCommand("", "putback NAME...", "Republish set-aside messages",
		"Republish set-aside messages, unchanged. An executor sets a message aside if it can't\n"+
			"process it. Run this command once an executor can: after you restored a record, or\n"+
			"upgraded an executor. A message that executors still can't process is set aside once\n"+
			"more. durable list --set-aside lists the names.", "put back", (*jsstore.Store).PutBack)
}

func (a *app) forget() *cobra.Command {
	return a.setAsideCommand("delete", "forget NAME...", "Delete set-aside messages",
		"Delete set-aside messages before their retention is over. An executor sets a message\n"+
			"aside if it can't process it. durable list --set-aside lists the names. The command\n"+
			"asks before it deletes; --yes skips the question, and is required where there is no\n"+
			"terminal. The command only prints --reason, for your own log.", "forgot", (*jsstore.Store).Forget)
}

// setAsideCommand returns a command that calls do with the name of each set-aside message.
// If do destroys the message, verb names that in the question that the command asks first. If
// verb is empty, the command does not ask.
func (a *app) setAsideCommand(verb, use, short, long, done string, do func(*jsstore.Store, context.Context, string) error) *cobra.Command {
	var l loss
	cmd := &cobra.Command{
		Use: use, Short: short, Long: long,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usage("usage: "+cmd.UseLine(), "%s takes one or more names", cmd.Name())
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if verb != "" {
				if err := a.mustBeSure(cmd, l.yes); err != nil {
					return err
				}
			}
			s, err := a.open(cmd)
			if err != nil {
				return err
			}
			defer s.close()
			if verb != "" {
				if err := a.confirm(cmd.Context(), l.yes, verb+" "+count(len(args), "message", "messages")+" for good?"); err != nil {
					return err
				}
			}
			for _, name := range args {
				err := do(s.js, cmd.Context(), name)
				if errors.Is(err, jsstore.ErrNotAside) {
					return &exitError{exitNotFound, err, a.command("list --set-aside") + " lists the names"}
				}
				if err != nil {
					return err
				}
				if a.json {
					if err := printJSON(a.out, struct {
						Name string `json:"name"`
						Done string `json:"done"`
						Why  string `json:"reason,omitempty"`
					}{name, done, l.reason}); err != nil {
						return err
					}
					continue
				}
				fmt.Fprintf(a.out, "%s %s%s\n", done, name, l.because())
			}
			return nil
		},
	}
	if verb == "" {
		return cmd
	}
	return l.flags(cmd, "", onlySaid)
}
