package main

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nkeys"

	"github.com/durable-execution/durable/jsstore/jstest"
)

// guarded runs a server that accepts the user me with the password secret, and the nkey in the
// file whose path it returns.
func guarded(t *testing.T, dir string) (url, seed string) {
	t.Helper()
	pair, err := nkeys.CreateUser()
	if err != nil {
		t.Fatal(err)
	}
	public, err := pair.PublicKey()
	if err != nil {
		t.Fatal(err)
	}
	private, err := pair.Seed()
	if err != nil {
		t.Fatal(err)
	}
	write(t, dir, "seed.nk", string(private))
	account := server.NewAccount("A")
	s := jstest.Start(t, &server.Options{
		Host: "127.0.0.1", Port: -1, JetStream: true, StoreDir: t.TempDir(), NoLog: true, NoSigs: true,
		Accounts: []*server.Account{account},
		Users:    []*server.User{{Username: "me", Password: "secret", Account: account}},
		Nkeys:    []*server.NkeyUser{{Nkey: public, Account: account}},
	})
	if account, err = s.LookupAccount("A"); err != nil {
		t.Fatal(err)
	}
	if err := account.EnableJetStream(nil, nil); err != nil {
		t.Fatal(err)
	}
	return s.ClientURL(), filepath.Join(dir, "seed.nk")
}

func TestPlacesAreGivenAsToTheNATSCommandLine(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("XDG_STATE_HOME", filepath.Join(dir, "state"))
	t.Setenv("XDG_CONFIG_HOME", dir)
	url, seed := guarded(t, dir)
	write(t, dir,
		"nats/context/good.json", fmt.Sprintf(`{"url":%q,"user":"me","password":"secret"}`, url),
		"nats/context/bad.json", fmt.Sprintf(`{"url":%q,"user":"me","password":"wrong"}`, url),
		"nats/context/domain.json", fmt.Sprintf(`{"url":%q,"user":"me","password":"secret","jetstream_domain":"leaf"}`, url),
		"nats/context/away.json", `{"url":"nats://me:secret@127.0.0.1:1"}`,
		"nats/context/rubbish.json", `{`,
		"creds", "no credentials", "in", "")
	durable(t, "setup", "--server", url, "--user", "me", "--password", "secret").want(t, exitOK)
	var said strings.Builder
	for _, c := range []struct {
		selected, env, args string
		code                int
	}{
		{"", "", "list --server URL", exitStore},
		{"", "", "list --server URL --user me --password secret", exitOK},
		{"", "", "list --server URL --user me --password wrong", exitStore},
		{"", "", "list --server URL --nkey SEED", exitOK},
		{"", "", "doctor --server URL --nkey SEED --wait 1ms --json", exitOK},
		{"", "", "list --server URL --nkey DIR/nosuch", exitUsage},
		{"", "", "list --server URL --creds DIR/creds", exitUsage},
		{"", "", "list --server URL --tlsca DIR/nosuch", exitUsage},
		{"", "", "list --server URL --tlscert DIR/creds", exitUsage},
		{"", "", "list --server URL --js-domain x --js-api-prefix y", exitUsage},
		{"", "", "list --js-domain x", exitUsage},
		{"", "", "list --context good", exitOK},
		{"", "", "list --context DIR/nats/context/good.json", exitOK},
		{"", "", "list --context bad", exitStore},
		{"", "", "list --context bad --nkey SEED --user me --password secret", exitOK},
		{"", "", "list --context away", exitStore},
		{"", "", "list --context away --server URL", exitStore}, // this context has a user only in its URL
		{"", "", "list --context bad --server nats://127.0.0.1:1", exitStore},
		{"", "", "list --context domain", exitStore},
		{"", "", "list --context nosuch", exitUsage},
		{"", "", "list --context rubbish", exitUsage},
		{"", "", "list --context=", exitUsage},
		{"", "", "list --context good --dir DIR", exitUsage},
		{"", "", "list --creds DIR/creds", exitUsage},
		{"", "", "list --server nats://me:%secret@127.0.0.1:1", exitStore},
		{"", "", "list --server nats://me:secret@127.0.0.1:1,nats://me:%secret@127.0.0.1:2", exitStore},
		{"", "", "list --server me:sec%secret@127.0.0.1:1", exitStore},
		{"", "", "bench --context good", exitUsage},
		{"", "NATS_URL=URL", "list", exitStore},
		{"", "NATS_URL=URL NATS_USER=me NATS_PASSWORD=secret", "list", exitOK},
		{"", "NATS_URL=URL NATS_USER=me NATS_PASSWORD=secret", "list --namespace other", exitStore},
		{"bad", "NATS_URL=URL NATS_NKEY=SEED", "list", exitOK},
		{"bad", "NATS_CONTEXT=good", "list", exitOK},
		{"good", "", "list", exitOK},
		{"bad", "", "list", exitStore},
		{"bad", "", "list --context good", exitOK},
		{"good", "", "list --dir DIR/nosuch", exitStore},
		{"good", "", "demo --max-size 1 DIR/in", exitIncomplete},
	} {
		fill := strings.NewReplacer("URL", url, "SEED", seed, "DIR", dir)
		write(t, dir, "nats/context.txt", c.selected)
		for _, name := range []string{"NATS_URL", "NATS_CONTEXT", "NATS_USER", "NATS_PASSWORD", "NATS_NKEY"} {
			t.Setenv(name, "")
		}
		for _, v := range strings.Fields(c.env) {
			name, value, _ := strings.Cut(v, "=")
			t.Setenv(name, fill.Replace(value))
			if name == "NATS_URL" {
				t.Setenv(name, url)
			}
		}
		var args []string
		for _, a := range strings.Fields(c.args) {
			args = append(args, fill.Replace(a))
		}
		o := durable(t, args...)
		if o.code != c.code {
			t.Errorf("durable %s, with %s, %q selected: exit code = %d, want %d", c.args, c.env, c.selected, o.code, c.code)
		}
		if strings.Contains(o.out+o.err, "secret") || strings.Contains(o.out+o.err, "wrong") {
			t.Errorf("durable %s prints a password:\n%s%s", c.args, o.out, o.err)
		}
		if strings.HasPrefix(c.args, "demo") && !strings.Contains(o.out, "durable list --dir "+filepath.Join(dir, "state")) {
			t.Errorf("demo does not name its store, although the environment names another:\n%s", o.out)
		}
		if !strings.HasPrefix(c.args, "list") && c.code != exitUsage { // other tests cover those
			o.out = ""
		}
		if c.selected != "" {
			said.WriteString("$ nats context select " + c.selected + "\n")
		}
		said.WriteString("$ " + strings.TrimSpace(c.env+" durable "+c.args) + "\n" + o.out + o.err + "\n")
	}
	golden(t, "places", scrub(strings.ReplaceAll(said.String(), url, "URL"), dir))
}
