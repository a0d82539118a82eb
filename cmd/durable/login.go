package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"
	"github.com/spf13/cobra"
	"github.com/synadia-io/orbit.go/natscontext"

	"github.com/durable-execution/durable/jsstore"
)

// A login is how to come in at a server, by the flags and the environment as the
// nats command line takes them. Empty is what the URL says.
type login struct {
	context             string
	creds, nkey         string
	tlsca, cert, key    string
	user, password      string
	domain, prefix      string // of the JetStream API, in a server or an account elsewhere
	from                string // what has led to the server if no flag has
	skipsEnvironment    bool   // for commands that make things: only flags lead them to a server
	ignoredAnotherPlace bool   // the environment would have led somewhere
}

// A loginFlag is a flag with the variable that stands for it; empty for none.
type loginFlag struct {
	name, variable, usage string
	value                 *string
}

func (l *login) list() []loginFlag {
	return []loginFlag{
		{"context", "NATS_CONTEXT", "NATS context to connect with: its name, or the path of its file", &l.context},
		{"creds", "NATS_CREDS", "file of NATS credentials", &l.creds},
		{"nkey", "NATS_NKEY", "file of an nkey seed", &l.nkey},
		{"tlsca", "NATS_CA", "file of the certificates that the server's is checked by", &l.tlsca},
		{"tlscert", "NATS_CERT", "file of a TLS certificate, with --tlskey", &l.cert},
		{"tlskey", "NATS_KEY", "file of the key of --tlscert", &l.key},
		{"user", "NATS_USER", "user, or a token where there is no password", &l.user},
		{"password", "NATS_PASSWORD", "password of --user; the environment is the better place", &l.password},
		{"js-domain", "", "JetStream domain that the store is in", &l.domain},
		{"js-api-prefix", "", "what the subjects of the JetStream API begin with", &l.prefix},
	}
}

func (l *login) flags(cmd *cobra.Command) {
	for _, f := range l.list() {
		about := f.usage
		if f.variable != "" {
			about += " ($" + f.variable + ")"
		}
		cmd.PersistentFlags().StringVar(f.value, f.name, "", about)
	}
}

// lead completes the place with what the flags, or else the environment, say of a
// server: --server, --context, NATS_URL, NATS_CONTEXT, the selected context, in this
// order. A --dir leaves the environment out.
func (p *place) lead(cmd *cobra.Command) error {
	for _, f := range p.login.list() {
		switch given := cmd.Flag(f.name).Changed; {
		case given && *f.value == "":
			return usage("", "--%s is empty", f.name)
		case given && p.dir != "":
			return usage("", "--dir names a store on this machine, and --%s is for a server: give one", f.name)
		case given && f.name == "user" && !cmd.Flag("password").Changed && os.Getenv("NATS_PASSWORD") == "": // it is a token
		case given && f.name != "password": // which is for nobody's eyes
			p.flagged += " --" + f.name + " " + quoted(*f.value)
		}
	}
	if p.dir != "" {
		p.login = login{}
		return nil
	}
	if p.server == "" && p.context == "" {
		p.fromEnvironment(os.Getenv)
	}
	if p.server == "" && p.context == "" {
		for _, f := range p.login.list() {
			if cmd.Flag(f.name).Changed {
				return usage("--server or --context names one", "--%s is for a server, and none is given", f.name)
			}
		}
		return nil
	}
	return p.complete()
}

// complete takes what no flag says from the environment, and judges the whole.
func (p *place) complete() error {
	for _, f := range p.login.list() {
		if f.name != "context" && f.variable != "" && *f.value == "" {
			*f.value = os.Getenv(f.variable)
		}
	}
	for _, f := range p.login.list() {
		switch f.name {
		case "creds", "nkey", "tlsca", "tlscert", "tlskey":
			if *f.value == "" {
				continue
			}
			if err := checkCredential(*f.value); err != nil {
				return usage("", "--%s, or $%s: %s: %w", f.name, f.variable, printable(*f.value), err)
			}
		}
	}
	if err := p.login.read(); err != nil {
		return err
	}
	if p.domain != "" && p.prefix != "" {
		return usage("", "--js-domain and --js-api-prefix name two places: give one")
	}
	if p.context == "" {
		return nil
	}
	if filepath.IsAbs(p.context) {
		if err := checkCredential(p.context); err != nil {
			return usage("nats context ls lists them", "NATS context %s: %w", printable(p.context), err)
		}
	}
	url, err := p.contextURL()
	if err != nil {
		return usage("nats context ls lists them", "NATS context %s: %w", p.context, err)
	}
	if p.server == "" {
		p.server = url
	}
	return nil
}

// read says what is wrong with the files, which the client would say of the server.
func (l login) read() error {
	if (l.cert == "") != (l.key == "") {
		return usage("", "--tlscert and --tlskey go together")
	}
	if l.cert != "" {
		if _, err := tls.LoadX509KeyPair(l.cert, l.key); err != nil {
			return usage("", "--tlscert %s and --tlskey %s: %w", l.cert, l.key, err)
		}
	}
	if l.tlsca != "" {
		text, err := os.ReadFile(l.tlsca)
		if err != nil {
			return usage("", "--tlsca: %w", err)
		}
		if !x509.NewCertPool().AppendCertsFromPEM(text) {
			return usage("", "--tlsca %s: there is no certificate in it", l.tlsca)
		}
	}
	if l.creds != "" {
		text, err := os.ReadFile(l.creds)
		if err == nil {
			_, err = nkeys.ParseDecoratedUserNKey(text)
		}
		if err != nil {
			return usage("nsc generate creds makes such a file", "--creds %s: %w", l.creds, err)
		}
	}
	return nil
}

// fromEnvironment takes the server from the environment.
func (p *place) fromEnvironment(getenv func(string) string) {
	url, context := getenv("NATS_URL"), getenv("NATS_CONTEXT")
	from := "$NATS_URL"
	if url == "" {
		from = "$NATS_CONTEXT"
		if context == "" {
			context, from = selectedContext(), "the selected NATS context"
		}
	} else {
		context = ""
	}
	if url == "" && context == "" {
		return
	}
	if p.skipsEnvironment {
		p.ignoredAnotherPlace = true
		return
	}
	p.server, p.context, p.from = url, context, from
}

// selectedContext is the name that nats context select has stored; empty for none.
func selectedContext() string {
	dir := os.Getenv("XDG_CONFIG_HOME")
	if dir == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return ""
		}
		dir = filepath.Join(home, ".config")
	}
	name, err := os.ReadFile(filepath.Join(dir, "nats", "context.txt"))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(name))
}

// errLooked ends a connection before it has begun.
var errLooked = errors.New("looked at")

// contextURL returns the servers of the context, without connecting to any.
func (p place) contextURL() (string, error) {
	var urls []string
	nc, _, err := natscontext.Connect(p.context, func(o *nats.Options) error {
		urls = o.Servers
		return errLooked
	})
	if err == nil { // no release of the client does that
		nc.Close()
	}
	if !errors.Is(err, errLooked) {
		return "", err
	}
	if url := strings.Join(urls, ","); url != "" {
		return url, nil
	}
	return nats.DefaultURL, nil
}

// options are what the flags say, in place of what a context does.
func (l login) options() ([]nats.Option, error) {
	var opts []nats.Option
	if l.creds != "" {
		opts = append(opts, nats.UserCredentials(l.creds))
	}
	if l.nkey != "" {
		o, err := nats.NkeyOptionFromSeed(l.nkey)
		if err != nil {
			return nil, fmt.Errorf("nkey %s: %w", l.nkey, err)
		}
		opts = append(opts, o)
	}
	switch {
	case l.user != "" && l.password != "":
		opts = append(opts, nats.UserInfo(l.user, l.password))
	case l.user != "":
		opts = append(opts, nats.Token(l.user))
	}
	if l.tlsca != "" {
		opts = append(opts, nats.RootCAs(l.tlsca))
	}
	if l.cert != "" {
		opts = append(opts, nats.ClientCert(l.cert, l.key))
	}
	return opts, nil
}

// dialNATS connects to a server, and completes c with where JetStream is from there. At
// p.server it comes in as the flags say, anywhere else - to a process that has the
// directory open - as nobody in particular.
func (p place) dialNATS(url string, c *jsstore.Config, opts ...nats.Option) (*nats.Conn, error) {
	if url != p.server {
		return nats.Connect(url, opts...)
	}
	own, err := p.login.options()
	if err != nil {
		return nil, err
	}
	c.Domain, c.APIPrefix = p.domain, p.prefix
	opts = append(opts, own...)
	if p.context == "" {
		return nats.Connect(url, opts...)
	}
	opts = append(opts, func(o *nats.Options) error {
		o.Servers = strings.Split(url, ",") // --server goes before the context's
		return nil
	})
	nc, found, err := natscontext.Connect(p.context, opts...)
	if err != nil {
		return nil, err
	}
	if c.Domain == "" && c.APIPrefix == "" {
		if c.Domain = found.JSDomain; c.Domain == "" {
			c.APIPrefix = found.JSAPIPrefix
		}
	}
	return nc, nil
}
