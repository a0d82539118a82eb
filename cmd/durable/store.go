package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/spf13/cobra"

	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/jsstore"
	"github.com/durable-execution/durable/jsstore/embedded"
)

// lease is the lease of a namespace that demo or dev creates. It bounds how long the death
// of the process goes unnoticed. It is short because a person is watching, and it can be
// short because the server is in the same process: only a stopped process misses a renewal.
const lease = 2 * time.Second

// patience is how long to wait for a directory that another process has open without listening
// at a port. Commands that only read a store open it like that, for a short time.
const patience = 5 * time.Second

// A store is an open store.
type store struct {
	engine.Store
	js *jsstore.Store // the same store
	// lookout finds the lost executors of the store.
	lookout *engine.Lookout
	url     string // the URL of its server; empty if no other process can reach it
	own     bool   // the server is in this process
	// portTaken means that the wanted port was taken and the server listens at another.
	portTaken bool
	close     func() error
}

// open completes the place and opens the store, for a command that runs no executor.
func (p *place) open(cmd *cobra.Command) (*store, error) {
	if err := p.check(cmd); err != nil {
		return nil, err
	}
	return p.look(cmd.Context())
}

// look opens an existing store. It never creates one.
func (p place) look(ctx context.Context) (*store, error) {
	if p.server != "" {
		return p.connect(ctx, p.server, true)
	}
	if err := p.there(); err != nil {
		return nil, err
	}
	for deadline := time.Now().Add(patience); ; {
		s, err := p.embed(ctx, embedded.Config{Log: silent, Store: jsstore.Config{MustExist: true, Logger: quietLog}})
		var used *embedded.InUseError
		if !errors.As(err, &used) {
			return s, err
		}
		if used.URL != "" {
			// If its owner is just ending, connecting fails: try again.
			if s, err = p.connect(ctx, used.URL, true); err == nil {
				return s, nil
			}
		}
		if time.Now().After(deadline) {
			return nil, err
		}
		if err := pause(ctx, 50*time.Millisecond); err != nil {
			return nil, err
		}
	}
}

// take opens the store for a command that runs an executor, and creates it if it is missing.
func (p place) take(ctx context.Context, log func(slog.Level, string)) (*store, error) {
	if p.server != "" {
		return p.connect(ctx, p.server, false)
	}
	for deadline := time.Now().Add(patience); ; {
		s, err := p.embed(ctx, embedded.Config{Port: -1, Log: log, Store: jsstore.Config{Lease: lease, Logger: quietLog}})
		var used *embedded.InUseError
		if !errors.As(err, &used) {
			return s, err
		}
		if used.URL != "" || time.Now().After(deadline) {
			return nil, &exitError{exitStore, used, p.command("list") + " shows what that process runs; --dir picks another store for this one"}
		}
		if err := pause(ctx, 50*time.Millisecond); err != nil {
			return nil, err
		}
	}
}

// there returns an error if the directory has no store.
func (p place) there() error {
	there, err := hasStore(p.dir)
	if err != nil {
		return &exitError{exitStore, fmt.Errorf("look for a store: %w", err), ""}
	}
	if !there {
		return &exitError{exitStore, fmt.Errorf("there is no store in %s", p.dir),
			"durable demo creates one; --dir and --server pick another"}
	}
	return nil
}

// hasStore reports whether a nats-server has written a store into dir.
func hasStore(dir string) (bool, error) {
	_, err := os.Stat(filepath.Join(dir, "jetstream"))
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return false, nil
	}
	return err == nil, err
}

func (p place) embed(ctx context.Context, c embedded.Config) (*store, error) {
	c.Dir, c.Store.Namespace = p.dir, p.namespace
	s, err := embedded.Open(ctx, c)
	switch {
	case errors.Is(err, jsstore.ErrMissing):
		return nil, &exitError{exitStore, fmt.Errorf("there is no namespace %s in %s", p.namespace, p.dir),
			"durable demo creates it; --namespace picks another"}
	case err != nil:
		return nil, unreachable(err, "--dir picks another directory")
	}
	return &store{Store: s, js: s.Store, lookout: engine.NewLookout(s), url: s.URL(), own: true, close: s.Close}, nil
}

// connect opens the namespace on a server. If looks is true, it never creates the namespace.
func (p place) connect(ctx context.Context, url string, looks bool) (*store, error) {
	c := jsstore.Config{Namespace: p.namespace, MustExist: looks, Logger: quietLog}
	if err := jsstore.CheckURL(url); err != nil {
		return nil, &exitError{exitStore, fmt.Errorf("connect to %s: %w", jsstore.Redact(url), err), ""}
	}
	nc, err := p.dialNATS(url, &c, append(jsstore.ConnectOptions(), quiet)...)
	if err != nil {
		return nil, p.unconnected(fmt.Errorf("connect to %s: %w", redacted(url), err), url)
	}
	s, err := jsstore.Open(ctx, nc, c)
	if err != nil {
		nc.Close()
	}
	switch {
	case errors.Is(err, jsstore.ErrMissing) && p.from != "" && url == p.server:
		return nil, &exitError{exitStore, err, "the server " + redacted(url) + " comes from " + p.from + ": durable setup creates the namespace there; --dir picks a directory instead"}
	case errors.Is(err, jsstore.ErrMissing):
		return nil, &exitError{exitStore, err, p.command("setup") + " creates the missing parts of the namespace"}
	case err != nil:
		if url == p.server {
			p.domain, p.prefix = c.Domain, c.APIPrefix // a context may have set them
		}
		return nil, p.unconnected(err, url)
	}
	return &store{Store: s, js: s, lookout: engine.NewLookout(s), url: url, close: func() error {
		err := s.Close()
		nc.Close()
		return err
	}}, nil
}

// redactedError returns err without the passwords that url contains.
func redactedError(err error, url string) error {
	if errors.Is(err, context.Canceled) {
		return err
	}
	text := err.Error()
	for one := range strings.SplitSeq(url, ",") {
		text = strings.ReplaceAll(text, strings.TrimSpace(one), redacted(strings.TrimSpace(one)))
	}
	return errors.New(text)
}

// unconnected returns the error of a failed connection with a hint on what to do about it.
func (p place) unconnected(err error, url string) error {
	known, remote := (*exitError)(nil), (*net.OpError)(nil)
	switch {
	case errors.As(err, &known):
		return known
	case errors.Is(err, nats.ErrAuthorization):
		return &exitError{exitStore, err, "the server does not accept this login, or it has expired: give nats://USER:PASSWORD@HOST:PORT, --creds, --nkey or --context"}
	case errors.As(err, new(*tls.CertificateVerificationError)):
		return &exitError{exitStore, err, "--tlsca names the file of CA certificates to verify the server with"}
	case errors.As(err, &remote) && remote.Op == "remote error": // package tls's name for an alert from the server
		return &exitError{exitStore, err, "the server wants a client certificate that it trusts: --tlscert and --tlskey name one"}
	case p.domain != "" || p.prefix != "":
		return &exitError{exitStore, redactedError(err, url), "check --js-domain, --js-api-prefix and the NATS context: they must select the JetStream API of the store"}
	case errors.Is(err, nats.ErrPermissionViolation):
		return &exitError{exitStore, err, "deploy/accounts.conf shows what each role may do"}
	}
	return unreachable(redactedError(err, url), "is a NATS server with JetStream running there? nats-server -js starts one")
}

// quietLog drops log records: a command reports through its errors.
var quietLog = slog.New(slog.DiscardHandler)

func silent(slog.Level, string) {}

// quiet keeps nats.go from printing refusals of the server: the command reports the error.
var quiet = nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {})

func unreachable(err error, hint string) error {
	if errors.Is(err, context.Canceled) {
		return err
	}
	return &exitError{exitStore, err, hint}
}

// pause waits for d, or until ctx ends; it then returns the cause.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
