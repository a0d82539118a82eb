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

const setupHelp = `Create a namespace on a NATS server: its streams, its record, and the consumers
that executors share. Executors and producers can then run with credentials that
may create nothing. Running the command again changes nothing; it prints what it
found.

Each --queue creates the consumers of one queue. An executor whose credentials
may not create consumers can serve only queues that exist. Numbers that you give
also apply to what exists already: --lease and --retention to the namespace,
--replicas to every stream, --max-ready to the stream of queued executions.
Settings that you don't give stay as they are. Lower the lease only while no
executor runs: a running executor renews at a third of the lease that it started
with.`

func (a *app) setup() *cobra.Command {
	var c jsstore.Config
	var retention string
	var queues []string
	cmd := &cobra.Command{
		Use:   "setup",
		Short: "Create a namespace and its queues on a NATS server",
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
				return usage("a store in a directory needs no setup: the first executor creates it", "setup needs a NATS server: name it with --server")
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
	f.IntVar(&c.Replicas, "replicas", 0, "copies of each stream, each on another server: 1, 3 or 5 (a new namespace gets 1)")
	durationVar(f, &c.Lease, "lease", "time after which work of a crashed executor is redelivered, at least 1s (a new namespace gets 30s)")
	f.StringVar(&retention, "retention", "", "how long finished trees are kept: a duration, or forever (a new namespace gets 168h)")
	f.Int64Var(&c.MaxReady, "max-ready", 0, "how many executions may be queued or running at once; -1 means no limit (a new namespace gets no limit)")
	f.StringArrayVar(&queues, "queue", []string{engine.DefaultQueue}, "queue to create; may be repeated")
	return cmd
}

// settle completes c from the flags, and refuses values that no server accepts.
func settle(c *jsstore.Config, retention string) error {
	switch retention {
	case "":
	case "forever":
		c.Retention = engine.Forever
	default:
		var err error
		if c.Retention, err = parseDuration(retention); err != nil || c.Retention < time.Second {
			return usage("such as 30d, or forever", "--retention %q: want a duration of at least 1s", retention)
		}
	}
	switch {
	case c.Replicas < 0 || c.Replicas > 5:
		return usage("", "--replicas %d: want 1 to 5", c.Replicas)
	case c.Lease != 0 && c.Lease < time.Second:
		return usage("", "--lease %s: want at least 1s", c.Lease)
	case c.MaxReady < -1:
		return usage("-1 means no limit", "--max-ready %d: negative", c.MaxReady)
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
		err = &exitError{exitStore, err, ""} // the server answered, and its error says what is wrong
	default:
		err = p.unconnected(err, p.server)
	}
	return parts, err
}

// A partsView lists the parts of a namespace as --json prints them.
type partsView struct {
	Parts []partView `json:"parts"`
}

type partView struct {
	Kind     string      `json:"kind"`
	Name     string      `json:"name"`
	Did      jsstore.Did `json:"did"`
	Replicas int         `json:"replicas,omitempty"`
	Most     int64       `json:"maxMessages,omitempty"` // -1 means no limit
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
