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
		Long: "Serve the API of a store to clients in any language, until interrupted. Clients send\n" +
			"requests in JSON to NAMESPACE.api.ENDPOINT; codec/WIRE.md describes them. Executors\n" +
			"serve the API too, so you need this command only where no executor runs, or too few\n" +
			"do. With --dir it also runs the NATS server, on --port, and creates the store if\n" +
			"there is none. Anyone who can reach the port has full access.\n\n" +
			"With --index, the command keeps an index and answers lists from it, as durable list\n" +
			"does in a large store; without it, each list reads the whole store. Executors answer\n" +
			"their share of the requests without an index: in a large store switch that off with\n" +
			"workers.Config.NoAPI.",
		Args: exactly(0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := a.place.check(cmd); err != nil {
				return err
			}
			if port < -1 || port > 65535 || port == 0 {
				return usage("-1 picks any free port", "--port %d: want 1 to 65535", port)
			}
			s, err := a.serveable(cmd.Context(), port)
			if err != nil {
				return err
			}
			defer s.close()
			return a.serveUntilStopped(cmd.Context(), s, file)
		},
	}
	cmd.Flags().StringVar(&file, "index", "", "`file` of the index to answer lists from, created if missing; auto: the file that durable list uses")
	cmd.Flags().IntVar(&port, "port", -1, "port of the NATS server on 127.0.0.1, with --dir; -1 picks any free port")
	return cmd
}

// serveable opens the store, and creates it in a directory that has none. If another
// process has the directory open, it connects to that process.
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
				return usage("name the file: --index FILE", "--index auto: %w", err)
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
	closed := make(chan error, 1) // the reason why the connection closed for good
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
