package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/jsstore"
	"github.com/durable-execution/durable/jsstore/embedded"
	"github.com/durable-execution/durable/workers"
)

// devPort is the port that NATS clients use by default.
const devPort = 4222

func (a *app) dev() *cobra.Command {
	var port, slots int
	var health string
	cmd := &cobra.Command{
		Use:   "dev",
		Short: "Run a server and sample tasks to develop against",
		Long: "Run a NATS server with a store in --dir, the store's API, and an executor with a few\n" +
			"sample tasks, until interrupted. Your own executors connect to the URL that the\n" +
			"command prints; they may serve other queues, or the same queue with other tasks. The\n" +
			"store stays in --dir for the next run. Anyone who can reach the port has full access.",
		Args: exactly(0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			a.skipsEnvironment = true
			if err := a.place.check(cmd); err != nil {
				return err
			}
			switch {
			case a.server != "":
				return usage("for a server elsewhere use durable serve and your own executor", "dev runs its own server, in --dir: it takes no --server")
			case port < -1 || port > 65535 || port == 0:
				return usage("-1 picks any free port", "--port %d: want 1 to 65535", port)
			case slots < 1:
				return usage("", "--slots %d: want at least 1", slots)
			}
			s, err := a.develop(cmd.Context(), port, !cmd.Flags().Changed("port"))
			if err != nil {
				return err
			}
			defer s.close()
			if s.portTaken {
				a.note("port %d is taken: the server listens at %s instead; --port picks another", port, s.url)
			}
			return a.runSamples(cmd.Context(), s, slots, health)
		},
	}
	cmd.Flags().IntVar(&port, "port", devPort, "port of the NATS server on 127.0.0.1; -1 picks any free port")
	cmd.Flags().IntVar(&slots, "slots", 16, "how many sample tasks run at the same time")
	healthFlag(cmd, &health)
	return cmd
}

// develop opens the store in this process. If the port is taken and anyPort is true, the
// server listens at any free port and the store's portTaken is true.
func (p place) develop(ctx context.Context, port int, anyPort bool) (*store, error) {
	s, err := p.embed(ctx, embedded.Config{Port: port, Store: jsstore.Config{Lease: lease}})
	if anyPort && errors.Is(err, syscall.EADDRINUSE) {
		if s, err = p.embed(ctx, embedded.Config{Port: -1, Store: jsstore.Config{Lease: lease}}); err == nil {
			s.portTaken = true
		}
	}
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, &exitError{exitStore, fmt.Errorf("port %d is taken: %w", port, err), "--port picks another; -1 picks any free port"}
	}
	var used *embedded.InUseError
	if errors.As(err, &used) {
		return nil, &exitError{exitStore, used, p.command("list") + " shows what that process runs; --dir picks another store for this one"}
	}
	return s, err
}

func (a *app) runSamples(ctx context.Context, s *store, slots int, health string) error {
	x, err := workers.New(s.Store, workers.Config{Name: fmt.Sprintf("dev-%d", os.Getpid()), Slots: slots, Logger: slogs(a.warnings())}, samples()...)
	if err != nil {
		return err
	}
	probes, stopProbes, err := answerProbes(ctx, health, x)
	if err != nil {
		return err
	}
	defer stopProbes()
	running, stop := context.WithCancel(ctx)
	defer stop()
	ran := make(chan error, 1)
	go func() { ran <- x.Run(running) }()
	err = present(running, s, ran)
	if err == nil {
		err = a.printDev(s, probes)
	}
	if err != nil {
		stop()
	}
	if e := <-ran; err == nil && !errors.Is(e, context.Canceled) {
		err = e
	}
	if ctx.Err() != nil {
		return nil // dev runs until interrupted, so an interruption is not an error
	}
	return err
}

// present returns once an executor answers in the store, or once the executor that sends to
// ran has ended. The commands that dev prints after it therefore work at once.
func present(ctx context.Context, s *store, ran chan error) error {
	for {
		answers, err := s.RollCall(ctx, engine.RollCall{For: 50 * time.Millisecond})
		if err != nil || len(answers) > 0 {
			return err
		}
		select {
		case err := <-ran:
			ran <- err
			return err
		default:
		}
	}
}

// sampleInputs are the inputs that the printed commands use, by task.
var sampleInputs = []struct{ task, input string }{
	{"greet", `{"name":"world"}`},
	{"nap", `{"seconds":30}`},
	{"flaky", `{"failures":2}`},
	{"sumOfSquares", `{"numbers":[1,2,3]}`},
	{"approve", `"may I?"`},
}

func (a *app) printDev(s *store, probes string) error {
	if a.json {
		v := struct {
			Server    string   `json:"server"`
			Namespace string   `json:"namespace"`
			Dir       string   `json:"dir"`
			Health    string   `json:"health,omitempty"`
			Tasks     []string `json:"tasks"`
		}{s.url, a.namespace, a.dir, probes, nil}
		for _, b := range samples() {
			v.Tasks = append(v.Tasks, b.Definition.ID)
		}
		return printJSON(a.out, v)
	}
	var b strings.Builder
	line := func(label, text string) {
		fmt.Fprintf(&b, "%s %s\n", a.out.paint(faint, fmt.Sprintf("%-8s", label)), text)
	}
	line("server", a.out.paint(bold, s.url))
	line("store", a.dir)
	if probes != "" {
		line("health", probes)
	}
	label := "enqueue"
	for _, sample := range sampleInputs {
		line(label, a.command("enqueue "+sample.task+" '"+sample.input+"'"))
		label = ""
	}
	line("", "nats --server "+s.url+` pub `+a.namespace+`.ready.default.greet.ID '{"name":"nats"}'`)
	line("watch", a.command("watch"))
	line("", a.command("top"))
	line("", a.command("tree ID --watch"))
	line("", a.command("wake ID --output true")+", for approve")
	line("stop", "Ctrl-C; the store stays in its directory")
	_, err := fmt.Fprint(a.out, b.String())
	return err
}
