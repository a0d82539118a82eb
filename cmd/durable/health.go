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

// healthFlag adds the flag for where an executor answers probes.
func healthFlag(cmd *cobra.Command, address *string) {
	cmd.Flags().StringVar(address, "health", "", "`address` to answer health probes at over HTTP: a port is one on 127.0.0.1, HOST:PORT names another")
}

// answerProbes answers health probes about x until stop is called, and returns the URL;
// an empty address has none.
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
		return "", nil, usage("--health PORT, or HOST:PORT", "--health %s: %w", address, err)
	}
	server := &http.Server{Handler: x.HealthHandler(), ReadHeaderTimeout: 5 * time.Second}
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			_ = l.Close() // probes find nobody, and that is the answer
		}
	}()
	return "http://" + l.Addr().String() + "/", func() {
		_ = server.Close() // the listener is gone either way
		<-done
	}, nil
}
