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

// lease is how long the death of a demo goes unnoticed. It is short because
// people watch, and the server is in the same process: nothing but a stopped
// process keeps a renewal from arriving.
const lease = 2 * time.Second

// patience is how long to wait for a directory that another process has open
// without a port, as every command does that only looks.
const patience = 5 * time.Second

// A store is one that has been opened.
type store struct {
	engine.Store
	js  *jsstore.Store // the same
	url string         // where other processes find it; empty if they don't
	own bool           // the server is in this process
	// portTaken says that it listens at another port than was wanted.
	portTaken bool
	close     func() error
}

// open completes the place and opens the store of a command that runs nothing.
func (p *place) open(cmd *cobra.Command) (*store, error) {
	if err := p.check(cmd); err != nil {
		return nil, err
	}
	return p.look(cmd.Context())
}

// look opens a store that is there. It makes none.
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
			// Its owner may end just now: then look again.
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

// take opens the store of a command that executes, and makes it if there is none.
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
			return nil, &exitError{exitStore, used, p.command("list") + " shows what it does; --dir names another store for this one"}
		}
		if err := pause(ctx, 50*time.Millisecond); err != nil {
			return nil, err
		}
	}
}

// there is an error if no server has kept a store in the directory before.
func (p place) there() error {
	there, err := hasStore(p.dir)
	if err != nil {
		return &exitError{exitStore, fmt.Errorf("look for a store: %w", err), ""}
	}
	if !there {
		return &exitError{exitStore, fmt.Errorf("there is no store in %s", p.dir),
			"durable demo makes one; --dir and --server name another"}
	}
	return nil
}

// hasStore reports whether a server has kept a store in dir before.
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
			"durable demo makes one; --namespace names another"}
	case err != nil:
		return nil, unreachable(err, "--dir names another directory")
	}
	return &store{Store: s, js: s.Store, url: s.URL(), own: true, close: s.Close}, nil
}

// connect opens the namespace on a server; who only looks makes none.
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
		return nil, &exitError{exitStore, err, p.from + " has led to " + redacted(url) + "; --dir names a directory, and durable setup makes a namespace"}
	case errors.Is(err, jsstore.ErrMissing):
		return nil, &exitError{exitStore, err, p.command("setup") + " makes what a namespace lacks"}
	case err != nil:
		if url == p.server {
			p.domain, p.prefix = c.Domain, c.APIPrefix // which may be a context's
		}
		return nil, p.unconnected(err, url)
	}
	return &store{Store: s, js: s, url: url, close: func() error {
		err := s.Close()
		nc.Close()
		return err
	}}, nil
}

// redactedError is err without the passwords in url.
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

func (p place) unconnected(err error, url string) error {
	known, remote := (*exitError)(nil), (*net.OpError)(nil)
	switch {
	case errors.As(err, &known):
		return known
	case errors.Is(err, nats.ErrAuthorization):
		return &exitError{exitStore, err, "the user or the password is not known there, or expired: nats://USER:PASSWORD@HOST:PORT, or --creds, --nkey, --context"}
	case errors.As(err, new(*tls.CertificateVerificationError)):
		return &exitError{exitStore, err, "--tlsca names the certificates that the server's is checked by"}
	case errors.As(err, &remote) && remote.Op == "remote error": // as package tls calls an alert
		return &exitError{exitStore, err, "--tlscert and --tlskey name a certificate that the server takes"}
	case p.domain != "" || p.prefix != "":
		return &exitError{exitStore, redactedError(err, url), "is JetStream there from here? --js-domain, --js-api-prefix and NATS contexts say where it is"}
	case errors.Is(err, nats.ErrPermissionViolation):
		return &exitError{exitStore, err, "deploy/accounts.conf shows what each role may do"}
	}
	return unreachable(redactedError(err, url), "is a NATS server with JetStream running there? nats-server -js starts one")
}

// What a command has to say it says in its errors: nothing is logged beside them.
var quietLog = slog.New(slog.DiscardHandler)

func silent(slog.Level, string) {}

// quiet keeps the client from printing what the server refuses: errors tell it.
var quiet = nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {})

func unreachable(err error, hint string) error {
	if errors.Is(err, context.Canceled) {
		return err
	}
	return &exitError{exitStore, err, hint}
}

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
