package main

import (
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/durable-execution/durable/jsstore/jstest"
)

// The roles of deploy/accounts.conf. The tests add the role probe: it may do everything in the
// account of the namespace, so it receives every message there.
var roles = []string{"producer", "application", "viewer", "executor", "operator"}

const probe = "probe"

// password is the password of all roles. The configuration takes it from the environment.
const password = "a-password"

// edit returns a file of deploy/ with texts replaced, such as paths of a machine. It fails the
// test if an old text is missing.
func edit(t *testing.T, file string, oldNew ...string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(packageDir, "../../deploy", file))
	if err != nil {
		t.Fatal(err)
	}
	text := string(data)
	for i := 0; i < len(oldNew); i += 2 {
		if !strings.Contains(text, oldNew[i]) {
			t.Fatalf("%s does not contain %q", file, oldNew[i])
		}
		text = strings.ReplaceAll(text, oldNew[i], oldNew[i+1])
	}
	return text
}

// accounts returns accounts.conf with the probe added.
func accounts(t *testing.T) string {
	t.Helper()
	first := "      { user: operator,"
	return edit(t, "accounts.conf", first, "      { user: "+probe+", password: "+password+" }\n"+first)
}

// configured returns the options that the server parses from a configuration with accounts.conf
// in the same directory.
func configured(t *testing.T, text string) *server.Options {
	t.Helper()
	dir := t.TempDir()
	for _, role := range append([]string{"system"}, roles...) {
		t.Setenv(strings.ToUpper(role)+"_PASSWORD", password)
	}
	write(t, dir, "nats.conf", text, "accounts.conf", accounts(t))
	o, err := server.ProcessConfigFile(filepath.Join(dir, "nats.conf"))
	if err != nil {
		t.Fatal(err)
	}
	o.NoLog, o.NoSigs = true, true
	return o
}

// single starts nats-single.conf, with its users.
func single(t *testing.T) string {
	t.Helper()
	o := configured(t, edit(t, "nats-single.conf",
		"127.0.0.1:4222", "127.0.0.1:-1", "127.0.0.1:8222", "127.0.0.1:-1",
		"/var/lib/nats", t.TempDir(), "# include accounts.conf", "include accounts.conf"))
	if o.SyncInterval != 10*time.Millisecond || o.SyncAlways || !o.JetStream {
		t.Errorf("JetStream %v, sync interval %s, always %v, want JetStream, 10ms", o.JetStream, o.SyncInterval, o.SyncAlways)
	}
	o.SyncInterval = time.Minute // as in jstest, for the same reason
	return jstest.Start(t, o).ClientURL()
}

// as returns the URL for a role, as a user types it after --server.
func as(t *testing.T, role, server string) string {
	t.Helper()
	if strings.Contains(server, "@") {
		return server // the URL has the user already
	}
	u, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.UserPassword(role, password)
	return u.String()
}

// connect returns a connection as a role.
func connect(t *testing.T, role, server string, opts ...nats.Option) *nats.Conn {
	t.Helper()
	nc, err := nats.Connect(as(t, role, server), append(opts, quiet)...)
	if err != nil {
		t.Fatalf("connect as %s: %v", role, err)
	}
	t.Cleanup(nc.Close)
	return nc
}

func TestWithoutUsersTheSingleServerIsForLoopbackOnly(t *testing.T) {
	o := configured(t, edit(t, "nats-single.conf"))
	if o.Host != "127.0.0.1" || o.HTTPHost != "127.0.0.1" || len(o.Users) > 0 {
		t.Errorf("it listens on %s and %s, with %d users, want loopback and none", o.Host, o.HTTPHost, len(o.Users))
	}
}

func TestNobodyGetsInWithoutAPassword(t *testing.T) {
	server := single(t)
	for _, opt := range []nats.Option{nats.Name("nobody"), nats.UserInfo("operator", "wrong"), nats.UserInfo("", ""), nats.Token(password)} {
		if nc, err := nats.Connect(server, opt); err == nil {
			t.Error("connected")
			nc.Close()
		}
	}
	wrong := strings.Replace(as(t, "operator", server), password, "wrong", 1)
	if o := durable(t, "list", "--server", wrong).want(t, exitStore); strings.Contains(o.err, "wrong") || !strings.Contains(o.err, "hint: the server does not accept this login") {
		t.Errorf("stderr = %q", o.err)
	}
}
