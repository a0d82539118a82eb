package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/jsstore/api"
	"github.com/durable-execution/durable/jsstore/embedded"
)

func (a *app) serve() *cobra.Command {
	var port int
	var file string
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Serve the API of a store to clients in any language",
		Long: "Serve the API of a store to clients in any language, until interrupted: requests in\n" +
			"JSON to NAMESPACE.api.ENDPOINT, which codec/WIRE.md describes. Executors serve it\n" +
			"too, beside their work; this command is for where there is none, or not enough.\n" +
			"With a directory it runs the NATS server as well, on --port, and makes the store\n" +
			"if there is none. Whoever reaches the port may do everything.\n\n" +
			"With --index lists are answered from an index that it keeps, as durable list does\n" +
			"in a large store; without, each list reads the whole store. Executors have none, and\n" +
			"share the requests: in a large store tell them not to serve (workers.Config.NoAPI).",
		Args: exactly(0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := a.place.check(cmd); err != nil {
				return err
			}
			if port < -1 || port > 65535 || port == 0 {
				return usage("-1 takes any that is free", "--port %d: want 1 to 65535", port)
			}
			s, err := a.serveable(cmd.Context(), port)
			if err != nil {
				return err
			}
			defer s.close()
			return a.serveUntilStopped(cmd.Context(), s, file)
		},
	}
	cmd.Flags().StringVar(&file, "index", "", "`file` of an index to answer lists from, which is made; auto: where durable list has it")
	cmd.Flags().IntVar(&port, "port", -1, "port of the NATS server on 127.0.0.1, with --dir; -1 takes any that is free")
	return cmd
}

// serveable opens the store, or makes it. One that another process has open is
// reached through that.
func (p place) serveable(ctx context.Context, port int) (*store, error) {
	if p.server != "" {
		return p.connect(ctx, p.server, true)
	}
	s, err := p.embed(ctx, embedded.Config{Port: port})
	var used *embedded.InUseError
	if errors.As(err, &used) && used.URL != "" {
		return p.connect(ctx, used.URL, true)
	}
	return s, err
}

func (a *app) serveUntilStopped(ctx context.Context, s *store, file string) error {
	var found api.Index
	if file != "" {
		var err error
		if file == "auto" {
			if file, err = a.indexPath(); err != nil {
				return usage("--index FILE names one", "--index auto: %w", err)
			}
		}
		if info, err := os.Stat(file); err == nil && kindOf(info.Mode()) != "" {
			return usage("", "--index %s: %s, not a file", printable(file), kindOf(info.Mode()))
		}
		x, stop, err := a.serveIndex(s, file)
		if err != nil {
			return err
		}
		defer stop()
		found = x
	}
	stop, err := s.js.ServeIndexed(ctx, engine.NewClient(s.Store), fmt.Sprintf("serve-%d", os.Getpid()), found)
	if err != nil {
		return unreachable(err, "")
	}
	defer stop()
	closed := make(chan error, 1) // the store, whose connection is: nothing is served any more
	unwatch, err := s.Watch(ctx, engine.Topic{}, func(n engine.Notice) {
		if n.Closed != nil {
			closed <- n.Closed
		}
	})
	if err != nil {
		return unreachable(err, "")
	}
	defer unwatch()
	if a.json {
		if err := printJSON(a.out, struct {
			Server    string `json:"server"`
			Namespace string `json:"namespace"`
		}{redacted(s.url), a.namespace}); err != nil {
			return err
		}
	} else {
		fmt.Fprintf(a.out, "serving the API of namespace %s at %s\ntry        nats --server %s request %s.api.list '{}'\n",
			a.namespace, redacted(s.url), redacted(s.url), a.namespace)
	}
	select {
	case <-ctx.Done():
		return nil
	case err := <-closed:
		return unreachable(err, "")
	}
}
