package main

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"unicode"

	"github.com/spf13/cobra"

	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/jsstore"
)

// A place is where the store is, as the flags say.
type place struct {
	dir, server, namespace string
	login
	// flagged are the flags that lead there, as they were given.
	flagged string
}

func (p *place) flags(cmd *cobra.Command) {
	f := cmd.PersistentFlags()
	f.StringVar(&p.dir, "dir", "", "directory of the store (default $XDG_STATE_HOME/durable or ~/.local/state/durable)")
	f.StringVar(&p.server, "server", "", "URL of a NATS server, in place of --dir: nats://HOST:PORT")
	f.StringVar(&p.namespace, "namespace", "durable", "namespace of the store: what its streams and subjects begin with")
	p.login.flags(cmd)
}

// check completes the place, or says what is wrong with the flags.
func (p *place) check(cmd *cobra.Command) error {
	for _, name := range []string{"dir", "server", "namespace"} {
		f := cmd.Flag(name)
		if !f.Changed {
			continue
		}
		if f.Value.String() == "" {
			return usage("", "--%s is empty", name)
		}
		p.flagged += " --" + name + " " + quoted(redacted(f.Value.String()))
	}
	if p.dir != "" && p.server != "" {
		return usage("", "--dir and --server name two stores: give one")
	}
	if err := p.lead(cmd); err != nil {
		return err
	}
	if err := engine.ValidateQueue(p.namespace); err != nil { // the same characters
		return usage("1 to 32 of A-Z a-z 0-9 _ -", "--namespace: no namespace can have the name %q", p.namespace)
	}
	dir := p.dir
	if dir == "" {
		var err error
		if dir, err = stateDir(); err != nil {
			if p.server != "" {
				return nil // nothing of this machine is needed
			}
			return usage("name a directory with --dir", "%w", err)
		}
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return usage("", "--dir %s: %w", p.dir, err)
	}
	if err := checkDirectory(dir); err != nil && p.server == "" {
		return &exitError{exitStore, fmt.Errorf("store in %s: %w", printable(dir), err), "--dir names a directory"}
	}
	if p.ignoredAnotherPlace {
		p.flagged += " --dir " + quoted(dir) // where the next command would look elsewhere
	}
	p.dir = dir
	return nil
}

func stateDir() (string, error) {
	// The specification has relative paths ignored.
	if state := os.Getenv("XDG_STATE_HOME"); filepath.IsAbs(state) {
		return filepath.Join(state, "durable"), nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", fmt.Errorf("no directory for the store: %w", err)
	}
	return filepath.Join(home, ".local", "state", "durable"), nil
}

// command is a command line for the same store.
func (p place) command(words string) string { return program + " " + words + p.flagged }

// program is how to type this program's name so that it is found.
var program = typed(os.Args[0])

func typed(arg string) string {
	switch {
	case !strings.ContainsRune(arg, filepath.Separator):
		return "durable"
	case strings.Contains(arg, "go-build"): // where go run puts it, and removes it
		return "go run ./cmd/durable"
	}
	return quoted(arg)
}

// redacted is the URL of a server without its password, or its token, which
// stands where a user would. Several are separated by commas.
func redacted(urls string) string {
	if strings.Contains(urls, "@") && jsstore.CheckURL(urls) != nil { // nobody can tell where the password begins
		return "xxxxx@" + jsstore.Redact(urls)
	}
	list := strings.Split(urls, ",")
	for i, one := range list {
		list[i] = redactedOne(one)
	}
	return strings.Join(list, ",")
}

func redactedOne(one string) string {
	if !strings.Contains(one, "://") { // the client takes it for one of nats
		return strings.TrimPrefix(redactedOne("nats://"+strings.TrimSpace(one)), "nats://")
	}
	u, err := url.Parse(strings.TrimSpace(one))
	switch {
	case err != nil && strings.Contains(one, "@"): // nobody can tell where the password begins
		scheme, _, _ := strings.Cut(one, "://")
		return scheme + "://xxxxx" + one[strings.LastIndex(one, "@"):]
	case err != nil:
		return one
	}
	u.RawQuery, u.Fragment = "", "" // nothing of ours, and a token may stand there
	if u.User == nil {
		return u.String()
	}
	if _, password := u.User.Password(); !password {
		u.User = url.User("xxxxx")
	}
	return u.Redacted()
}

// quoted is s as a shell takes it for one word.
func quoted(s string) string {
	if strings.ContainsFunc(s, func(r rune) bool {
		return !strings.ContainsRune("/.:_-+@%,", r) && !unicode.IsLetter(r) && !unicode.IsDigit(r)
	}) {
		return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
	}
	return s
}

// named says which store is meant.
func (p place) named() string {
	if p.server != "" && p.from != "" {
		return "the store is at " + redacted(p.server) + ", by " + p.from
	}
	if p.server != "" {
		return "the store is at " + redacted(p.server)
	}
	return "the store is in " + p.dir
}
