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

// A login says how to connect and authenticate to a server. Its flags and environment
// variables are the same as those of the nats command line. If a field is empty, the URL
// decides.
type login struct {
	context             string
	creds, nkey         string
	tlsca, cert, key    string
	user, password      string
	domain, prefix      string // of the JetStream API, if it is in another domain or account
	from                string // the source of the server's name, such as $NATS_URL; empty if a flag named it
	skipsEnvironment    bool   // ignore the environment: for commands that create things
	ignoredAnotherPlace bool   // the environment names a server, but the program ignored it
}

// A loginFlag is a flag with its environment variable. variable is empty if it has none.
type loginFlag struct {
	name, variable, usage string
	value                 *string
}

func (l *login) list() []loginFlag {
	return []loginFlag{
		{"context", "NATS_CONTEXT", "NATS context to connect with: its name, or the path of its file", &l.context},
		{"creds", "NATS_CREDS", "NATS credentials file", &l.creds},
		{"nkey", "NATS_NKEY", "file with an nkey seed", &l.nkey},
		{"tlsca", "NATS_CA", "file with the CA certificates to verify the server with", &l.tlsca},
		{"tlscert", "NATS_CERT", "file with the client's TLS certificate; needs --tlskey", &l.cert},
		{"tlskey", "NATS_KEY", "file with the private key of --tlscert", &l.key},
		{"user", "NATS_USER", "user name, or a token if you give no password", &l.user},
		{"password", "NATS_PASSWORD", "password of --user; prefer the variable, which other users can't see", &l.password},
		{"js-domain", "", "JetStream domain of the store", &l.domain},
		{"js-api-prefix", "", "prefix of the JetStream API subjects", &l.prefix},
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

// lead completes the place with the server that the flags or the environment name. It takes
// the first that is set of --server, --context, NATS_URL, NATS_CONTEXT and the selected
// context. With --dir it ignores the environment.
func (p *place) lead(cmd *cobra.Command) error {
	for _, f := range p.login.list() {
		switch given := cmd.Flag(f.name).Changed; {
		case given && *f.value == "":
			return usage("", "--%s is empty", f.name)
		case given && p.dir != "":
			return usage("", "--dir names a store on this machine, but --%s is for a server: give one of them", f.name)
		case given && f.name == "user" && !cmd.Flag("password").Changed && os.Getenv("NATS_PASSWORD") == "": // it is a token
		case given && f.name != "password": // a password must not be printed
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
				return usage("name the server with --server or --context", "--%s needs a server", f.name)
			}
		}
		return nil
	}
	return p.complete()
}

// complete fills the fields that no flag sets from the environment, and checks them all.
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
		return usage("", "--js-domain and --js-api-prefix both select a JetStream API: give one")
	}
	if p.context == "" {
		return nil
	}
	if filepath.IsAbs(p.context) {
		if err := checkCredential(p.context); err != nil {
			return usage("nats context ls lists the contexts", "NATS context %s: %w", printable(p.context), err)
		}
	}
	url, err := p.contextURL()
	if err != nil {
		return usage("nats context ls lists the contexts", "NATS context %s: %w", p.context, err)
	}
	if p.server == "" {
		p.server = url
	}
	return nil
}

// read reads the files that the flags name, and says what is wrong with them: nats.go would
// report such an error as one of the server.
func (l login) read() error {
	if (l.cert == "") != (l.key == "") {
		return usage("", "--tlscert and --tlskey need each other: give both")
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
			return usage("", "--tlsca %s: the file has no certificate", l.tlsca)
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

// fromEnvironment completes the place with the server that the environment names, if any.
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

// selectedContext returns the name that nats context select has stored; empty if there is none.
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

// errNoDial makes nats.go give up a connection attempt before it dials.
var errNoDial = errors.New("not dialled")

// contextURL returns the servers of the context, without connecting to any.
func (p place) contextURL() (string, error) {
	var urls []string
	nc, _, err := natscontext.Connect(p.context, func(o *nats.Options) error {
		urls = o.Servers
		return errNoDial
	})
	if err == nil { // never happens: the option above always fails
		nc.Close()
	}
	if !errors.Is(err, errNoDial) {
		return "", err
	}
	if url := strings.Join(urls, ","); url != "" {
		return url, nil
	}
	return nats.DefaultURL, nil
}

// options returns the connection options for the flags; they override those of a context.
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

// dialNATS connects to a server, and sets c's JetStream domain or API prefix. For p.server
// it uses the login of the flags. Any other URL belongs to a process that has the directory
// open; its server needs no login.
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
		o.Servers = strings.Split(url, ",") // --server overrides the context
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
