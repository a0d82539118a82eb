package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/nats-io/nats.go"
	"github.com/spf13/cobra"

	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/jsstore"
)

const setupHelp = `Make a namespace on a NATS server: its streams, its record, and the consumers
that executors share, so that executors and those who enqueue do with credentials
that may make nothing. Done again it changes nothing, and says what it found.

Queues are consumers: each --queue makes those of one, and an executor that may
not make consumers serves no other. The numbers that are given are given to what
is there as well: --lease and --retention to the namespace, --replicas to every
stream, --max-ready to the queue. What is not given stays. Lower the lease only
while no executor runs: those that do renew at a third of the one they began with.`

func (a *app) setup() *cobra.Command {
	var c jsstore.Config
	var retention string
	var queues []string
	cmd := &cobra.Command{
		Use:   "setup",
		Short: "Make a namespace on a NATS server, and its queues",
		Long:  setupHelp,
		Example: "  durable setup --server nats://127.0.0.1:4222\n" +
			"  durable setup --server tls://nats-1:4222,tls://nats-2:4222 \\\n" +
			"    --replicas 3 --queue default --queue mail",
		Args: exactly(0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := a.place.check(cmd); err != nil {
				return err
			}
			if a.server == "" {
				return usage("the store in a directory is made by who executes in it", "setup is for a server: --server names it")
			}
			if err := settle(&c, retention); err != nil {
				return err
			}
			c.Namespace = a.namespace
			parts, err := a.place.setUp(cmd.Context(), c, queues)
			if len(parts) == 0 {
				return err
			}
			return cmp.Or(err, a.printParts(parts))
		},
	}
	f := cmd.Flags()
	f.IntVar(&c.Replicas, "replicas", 0, "copies of each stream, on as many servers: 1, 3 or 5 (1 for a new namespace)")
	durationVar(f, &c.Lease, "lease", "how late a crashed executor is noticed, at least 1s (30s for a new namespace)")
	f.StringVar(&retention, "retention", "", "how long finished trees are kept: a duration, or forever (168h for a new namespace)")
	f.Int64Var(&c.MaxReady, "max-ready", 0, "executions that may be due or running at once; -1 is no limit (that for a new namespace)")
	f.StringArrayVar(&queues, "queue", []string{engine.DefaultQueue}, "queue to make the consumers of; may be repeated")
	return cmd
}

// settle checks the numbers, so far as they are wrong on any server.
func settle(c *jsstore.Config, retention string) error {
	switch retention {
	case "":
	case "forever":
		c.Retention = engine.Forever
	default:
		var err error
		if c.Retention, err = parseDuration(retention); err != nil || c.Retention < time.Second {
			return usage("such as 30d, or forever", "--retention %q: want a duration of 1s at least", retention)
		}
	}
	switch {
	case c.Replicas < 0 || c.Replicas > 5:
		return usage("", "--replicas %d: want 1 to 5", c.Replicas)
	case c.Lease != 0 && c.Lease < time.Second:
		return usage("", "--lease %s: want 1s at least", c.Lease)
	case c.MaxReady < -1:
		return usage("-1 is no limit", "--max-ready %d: negative", c.MaxReady)
	}
	return nil
}

func (p place) setUp(ctx context.Context, c jsstore.Config, queues []string) ([]jsstore.Part, error) {
	for _, q := range queues {
		if err := engine.ValidateQueue(q); err != nil {
			return nil, usage("", "--queue: %w", err)
		}
	}
	nc, err := p.dialNATS(p.server, &c, nats.Name("durable setup"), quiet)
	if err != nil {
		return nil, p.unconnected(fmt.Errorf("connect to %s: %w", redacted(p.server), err), p.server)
	}
	defer nc.Close()
	parts, err := jsstore.SetUp(ctx, nc, c, queues...)
	switch {
	case err == nil:
	case len(parts) > 0 && !errors.Is(err, nats.ErrPermissionViolation):
		err = &exitError{exitStore, err, ""} // the server is there, and has said what is wrong
	default:
		err = p.unconnected(err, p.server)
	}
	return parts, err
}

// A partsView is what a namespace consists of as --json prints it.
type partsView struct {
	Parts []partView `json:"parts"`
}

type partView struct {
	Kind     string      `json:"kind"`
	Name     string      `json:"name"`
	Did      jsstore.Did `json:"did"`
	Replicas int         `json:"replicas,omitempty"`
	Most     int64       `json:"maxMessages,omitempty"` // -1 is no limit
}

func (a *app) printParts(parts []jsstore.Part) error {
	if a.json {
		v := partsView{Parts: []partView{}}
		for _, p := range parts {
			v.Parts = append(v.Parts, partView{p.Kind, p.Name, p.Did, p.Replicas, p.MaxMessages})
		}
		return printAll(a, v.Parts, v)
	}
	t := plainTable()
	done := map[jsstore.Did]int{}
	for _, p := range parts {
		done[p.Did]++
		more := ""
		if p.Kind == "stream" {
			more = count(p.Replicas, "replica", "replicas")
			if p.MaxMessages >= 0 {
				more += ", " + grouped(int(p.MaxMessages)) + " messages at most"
			}
		}
		colour := green
		if p.Did == jsstore.Found {
			colour = faint
		}
		t.AppendRow(table.Row{a.out.paint(colour, string(p.Did)), p.Kind, p.Name, more})
	}
	fmt.Fprintln(a.out, a.fitting(t))
	fmt.Fprintf(a.out, "namespace %s: %d made, %d changed, %d found\n", a.namespace,
		done[jsstore.Made], done[jsstore.Changed], done[jsstore.Found])
	return nil
}
