package main

import (
	"context"
	"errors"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/durable-execution/durable/workers"
)

// healthFlag adds the flag that names the address of the health probes.
func healthFlag(cmd *cobra.Command, address *string) {
	cmd.Flags().StringVar(address, "health", "", "`address` to answer HTTP health probes at: PORT for 127.0.0.1, or HOST:PORT")
}

// answerProbes answers health probes about x until stop is called, and returns their URL.
// With an empty address it answers none, and the URL is empty.
func answerProbes(ctx context.Context, address string, x *workers.Executor) (url string, stop func(), err error) {
	if address == "" {
		return "", func() {}, nil
	}
	address = strings.TrimPrefix(address, ":")
	if !strings.Contains(address, ":") {
		address = "127.0.0.1:" + address
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return "", nil, usage("want --health PORT or --health HOST:PORT", "--health %s: %w", address, err)
	}
	server := &http.Server{Handler: x.HealthHandler(), ReadHeaderTimeout: 5 * time.Second}
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			_ = l.Close() // probes are then refused, which reports the failure
		}
	}()
	return "http://" + l.Addr().String() + "/", func() {
		_ = server.Close() // the listener is closed even if this fails
		<-done
	}, nil
}
