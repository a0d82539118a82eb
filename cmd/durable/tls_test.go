package main

import (
	"crypto/tls"
	"crypto/x509"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nkeys"
)

// transcript runs command lines, checks their exit codes, and compares their output with a golden
// file.
func transcript(t *testing.T, name string, fill *strings.Replacer, scrubbed *strings.Replacer, lines []struct {
	args string
	code int
}) {
	t.Helper()
	var said strings.Builder
	for _, c := range lines {
		var args []string
		for _, a := range strings.Fields(c.args) {
			args = append(args, fill.Replace(a))
		}
		o := durable(t, args...)
		if o.code != c.code {
			t.Errorf("durable %s: exit code = %d, want %d", c.args, o.code, c.code)
		}
		said.WriteString("$ durable " + c.args + "\n" + o.out + o.err + "\n")
	}
	golden(t, name, scrub(scrubbed.Replace(said.String()), "\x00"))
}

// issueAll writes dir/name.pem and dir/name.key for each name.
func (a *authority) issueAll(t *testing.T, dir string, names ...string) {
	t.Helper()
	for _, name := range names {
		a.issue(t, filepath.Join(dir, name+".pem"), filepath.Join(dir, name+".key"))
	}
}

func TestTLSIsGivenAsToTheNATSCommandLine(t *testing.T) {
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	newAuthority(t, in("ca.pem")).issueAll(t, dir, "server", "client")
	newAuthority(t, in("other-ca.pem")).issueAll(t, dir, "other")
	pair, err := tls.LoadX509KeyPair(in("server.pem"), in("server.key"))
	if err != nil {
		t.Fatal(err)
	}
	trusted := x509.NewCertPool()
	text, err := os.ReadFile(in("ca.pem"))
	if err != nil || !trusted.AppendCertsFromPEM(text) {
		t.Fatalf("read the certificate: %v", err)
	}
	open := started(t, &server.Options{JetStream: true, TLS: true, TLSConfig: &tls.Config{Certificates: []tls.Certificate{pair}}})
	mutual := started(t, &server.Options{JetStream: true, TLS: true, TLSVerify: true, TLSConfig: &tls.Config{
		Certificates: []tls.Certificate{pair}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: trusted,
		MaxVersion: tls.VersionTLS12, // with TLS 1.3, a refusal may look like the end of the connection
	}})
	secure := func(s *server.Server) string { return strings.Replace(s.ClientURL(), "nats://", "tls://", 1) }
	write(t, dir, "context.json", `{"url":"`+secure(mutual)+`","ca":"`+dir+`/ca.pem","cert":"`+dir+`/client.pem","key":"`+dir+`/client.key"}`)
	fill := strings.NewReplacer("OPEN", secure(open), "PLAIN", open.ClientURL(), "MUTUAL", secure(mutual), "DIR", dir)
	scrubbed := strings.NewReplacer(secure(open), "OPEN", open.ClientURL(), "PLAIN", secure(mutual), "MUTUAL", dir, "DIR")
	transcript(t, "tls", fill, scrubbed, []struct {
		args string
		code int
	}{
		{"setup --server OPEN --tlsca DIR/ca.pem", exitOK},
		{"list --server OPEN --tlsca DIR/ca.pem", exitOK},
		{"list --server PLAIN --tlsca DIR/ca.pem", exitOK}, // the server announces that it requires TLS
		{"list --server OPEN", exitStore},
		{"list --server OPEN --tlsca DIR/other-ca.pem", exitStore},
		{"list --server OPEN --tlsca DIR/client.key", exitUsage},
		{"setup --server MUTUAL --tlsca DIR/ca.pem --tlscert DIR/client.pem --tlskey DIR/client.key", exitOK},
		{"list --server MUTUAL --tlsca DIR/ca.pem --tlscert DIR/client.pem --tlskey DIR/client.key", exitOK},
		{"list --server MUTUAL --tlsca DIR/ca.pem", exitStore},
		{"list --server MUTUAL --tlsca DIR/ca.pem --tlscert DIR/other.pem --tlskey DIR/other.key", exitStore},
		{"list --server MUTUAL --tlsca DIR/ca.pem --tlscert DIR/client.pem --tlskey DIR/other.key", exitUsage},
		{"list --context DIR/context.json", exitOK},
	})
}

// operated runs a server in operator mode, with an account that has JetStream. It writes the
// credentials of a user, of an expired user, and of a user of another operator.
func operated(t *testing.T, dir string) string {
	t.Helper()
	pair := func(make func() (nkeys.KeyPair, error)) (nkeys.KeyPair, string) {
		k, err := make()
		if err != nil {
			t.Fatal(err)
		}
		public, err := k.PublicKey()
		if err != nil {
			t.Fatal(err)
		}
		return k, public
	}
	signed := func(c jwt.Claims, by nkeys.KeyPair) string {
		token, err := c.Encode(by)
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	operator, operatorID := pair(nkeys.CreateOperator)
	system, systemID := pair(nkeys.CreateAccount)
	account, accountID := pair(nkeys.CreateAccount)
	stranger, _ := pair(nkeys.CreateAccount)
	_ = system // the system account has no users
	claims := jwt.NewAccountClaims(accountID)
	claims.Limits.JetStreamLimits = jwt.JetStreamLimits{MemoryStorage: -1, DiskStorage: -1, Streams: -1, Consumer: -1}
	accounts := &server.MemAccResolver{}
	for id, token := range map[string]string{systemID: signed(jwt.NewAccountClaims(systemID), operator), accountID: signed(claims, operator)} {
		if err := accounts.Store(id, token); err != nil {
			t.Fatal(err)
		}
	}
	trusted, err := jwt.DecodeOperatorClaims(signed(jwt.NewOperatorClaims(operatorID), operator))
	if err != nil {
		t.Fatal(err)
	}
	for name, by := range map[string]nkeys.KeyPair{"user": account, "expired": account, "stranger": stranger} {
		user, userID := pair(nkeys.CreateUser)
		u := jwt.NewUserClaims(userID)
		if name == "expired" {
			u.Expires = time.Now().Add(-time.Hour).Unix()
		}
		seed, err := user.Seed()
		if err != nil {
			t.Fatal(err)
		}
		creds, err := jwt.FormatUserConfig(signed(u, by), seed)
		if err != nil {
			t.Fatal(err)
		}
		write(t, dir, name+".creds", string(creds))
	}
	s := started(t, &server.Options{
		JetStream: true, TrustedOperators: []*jwt.OperatorClaims{trusted}, AccountResolver: accounts, SystemAccount: systemID,
	})
	return s.ClientURL()
}

func TestCredentialsComeInWhereAnOperatorDecides(t *testing.T) {
	dir := t.TempDir()
	at := operated(t, dir)
	write(t, dir, "context.json", `{"url":"`+at+`","creds":"`+dir+`/user.creds"}`)
	transcript(t, "creds", strings.NewReplacer("URL", at, "DIR", dir), strings.NewReplacer(at, "URL", dir, "DIR"), []struct {
		args string
		code int
	}{
		{"setup --server URL --creds DIR/user.creds", exitOK},
		{"list --server URL --creds DIR/user.creds", exitOK},
		{"list --context DIR/context.json", exitOK},
		{"list --server URL", exitStore},
		{"list --server URL --creds DIR/expired.creds", exitStore},
		{"list --server URL --creds DIR/stranger.creds", exitStore},
	})
}
