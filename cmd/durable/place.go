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

// A place is the location of the store: a directory or a server, and a namespace.
type place struct {
	dir, server, namespace string
	login
	// flagged holds the flags that select this place, as the user typed them.
	flagged string
}

func (p *place) flags(cmd *cobra.Command) {
	f := cmd.PersistentFlags()
	f.StringVar(&p.dir, "dir", "", "directory of the store (default: $XDG_STATE_HOME/durable or ~/.local/state/durable)")
	f.StringVar(&p.server, "server", "", "URL of a NATS server, instead of --dir: nats://HOST:PORT")
	f.StringVar(&p.namespace, "namespace", "durable", "namespace of the store: the prefix of its streams and subjects")
	p.login.flags(cmd)
}

// check completes the place from flags and environment, or says which flag is wrong.
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
		return usage("", "--dir and --server both name a store: give one")
	}
	if err := p.lead(cmd); err != nil {
		return err
	}
	if err := engine.ValidateQueue(p.namespace); err != nil { // the same characters
		return usage("use 1 to 32 characters of A-Z a-z 0-9 _ -", "--namespace: %q is not a valid name", p.namespace)
	}
	dir := p.dir
	if dir == "" {
		var err error
		if dir, err = stateDir(); err != nil {
			if p.server != "" {
				return nil // a server needs no directory here
			}
			return usage("name a directory with --dir", "%w", err)
		}
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return usage("", "--dir %s: %w", p.dir, err)
	}
	if err := checkDirectory(dir); err != nil && p.server == "" {
		return &exitError{exitStore, fmt.Errorf("store in %s: %w", printable(dir), err), "--dir picks another directory"}
	}
	if p.ignoredAnotherPlace {
		// Without it, the next command would follow the environment to a server.
		p.flagged += " --dir " + quoted(dir)
	}
	p.dir = dir
	return nil
}

func stateDir() (string, error) {
	// The XDG specification says to ignore a relative path.
	if state := os.Getenv("XDG_STATE_HOME"); filepath.IsAbs(state) {
		return filepath.Join(state, "durable"), nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", fmt.Errorf("no directory for the store: %w", err)
	}
	return filepath.Join(home, ".local", "state", "durable"), nil
}

// command returns a command line that runs the given words on the same store.
func (p place) command(words string) string { return program + " " + words + p.flagged }

// program is what a user types to run this program.
var program = typed(os.Args[0])

func typed(arg string) string {
	switch {
	case !strings.ContainsRune(arg, filepath.Separator):
		return "durable"
	case strings.Contains(arg, "go-build"): // go run built it there, and will remove it
		return "go run ./cmd/durable"
	}
	return quoted(arg)
}

// redacted returns the URL of a server without its password, or without its token, which
// stands in place of the user. It takes several URLs separated by commas.
func redacted(urls string) string {
	if strings.Contains(urls, "@") && jsstore.CheckURL(urls) != nil { // the URL is invalid, so the position of the password is unknown
		return "xxxxx@" + jsstore.Redact(urls)
	}
	list := strings.Split(urls, ",")
	for i, one := range list {
		list[i] = redactedOne(one)
	}
	return strings.Join(list, ",")
}

func redactedOne(one string) string {
	if !strings.Contains(one, "://") { // nats.go takes nats:// for granted
		return strings.TrimPrefix(redactedOne("nats://"+strings.TrimSpace(one)), "nats://")
	}
	u, err := url.Parse(strings.TrimSpace(one))
	switch {
	case err != nil && strings.Contains(one, "@"): // the URL is invalid, so the position of the password is unknown
		scheme, _, _ := strings.Cut(one, "://")
		return scheme + "://xxxxx" + one[strings.LastIndex(one, "@"):]
	case err != nil:
		return one
	}
	u.RawQuery, u.Fragment = "", "" // the program never uses them, and they may hold a token
	if u.User == nil {
		return u.String()
	}
	if _, password := u.User.Password(); !password {
		u.User = url.User("xxxxx")
	}
	return u.Redacted()
}

// quoted quotes s for a shell, if it needs quotes to be one word.
func quoted(s string) string {
	if strings.ContainsFunc(s, func(r rune) bool {
		return !strings.ContainsRune("/.:_-+@%,", r) && !unicode.IsLetter(r) && !unicode.IsDigit(r)
	}) {
		return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
	}
	return s
}

// named returns a phrase that names the store and, if no flag chose it, the source of the name.
func (p place) named() string {
	if p.server != "" && p.from != "" {
		return "the store is at " + redacted(p.server) + " (from " + p.from + ")"
	}
	if p.server != "" {
		return "the store is at " + redacted(p.server)
	}
	return "the store is in " + p.dir
}
