package main

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nats-io/nkeys"
)

// TestNoSecretIsShown passes secrets in every possible way: correct, wrong, and in the wrong
// flag. It checks everything that the commands print.
func TestNoSecretIsShown(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("XDG_STATE_HOME", filepath.Join(dir, "state"))
	t.Setenv("XDG_CONFIG_HOME", dir)
	const secret = "sEcrEt"
	pair, err := nkeys.CreateUser()
	if err != nil {
		t.Fatal(err)
	}
	seedBytes, err := pair.Seed()
	if err != nil {
		t.Fatal(err)
	}
	seed := string(seedBytes)
	jwt := "eyJ0eXAiOiJKV1QiLCJhbGciOiJlZDI1NTE5LW5rZXkifQ.eyJqdGkiOiJ" + secret + "." + secret
	url, _ := guarded(t, dir)
	host := strings.TrimPrefix(url, "nats://")
	write(t, dir,
		"nats/context/password.json", fmt.Sprintf(`{"url":%q,"user":"me","password":%q}`, url, secret),
		"nats/context/token.json", fmt.Sprintf(`{"url":%q,"token":%q}`, url, secret),
		"nats/context/url.json", fmt.Sprintf(`{"url":"nats://me:%s@%s"}`, secret, host),
		"nats/context/away.json", fmt.Sprintf(`{"url":"nats://me:%s@127.0.0.1:1,nats://%s@127.0.0.1:1"}`, secret, secret),
		"nats/context/odd.json", fmt.Sprintf(`{"url":"nats://me:%%zz%s@127.0.0.1:1"}`, secret),
		"nats/context/seed.json", fmt.Sprintf(`{"url":%q,"nkey":%q}`, url, seed),
		"nats/context/creds.json", fmt.Sprintf(`{"url":%q,"creds":%q}`, url, seed),
		"nats/context/jwt.json", fmt.Sprintf(`{"url":%q,"user_jwt":%q,"user_seed":%q}`, url, jwt, seed),
		"nats/context/rubbish.json", fmt.Sprintf(`{"url":%q,"password":%q,}`, url, secret),
		"bad.creds", "-----BEGIN NATS USER JWT-----\n"+jwt+"\n------END NATS USER JWT------\n"+secret,
		"bad.nk", secret+"\n"+seed[:len(seed)-2]+"\n")
	ways := [][]string{
		{"--server", url, "--user", "me", "--password", secret},
		{"--server", url, "--user", secret},
		{"--server", "nats://127.0.0.1:1", "--user", secret},
		{"--server", "nats://me:" + secret + "@" + host},
		{"--server", "nats://" + secret + "@" + host},
		{"--server", "nats://" + secret + "@127.0.0.1:1"},
		{"--server", "nats://127.0.0.1:1/?token=" + secret},
		{"--server", "nats://127.0.0.1:1/#" + secret},
		{"--server", "nats://me:x/" + secret + "@127.0.0.1:1"},
		{"--server", "nats://me:" + secret + "@127.0.0.1:1", "--js-domain", "x"},
		{"--server", url, "--nkey", seed},
		{"--server", url, "--creds", seed},
		{"--server", url, "--creds", jwt},
		{"--server", url, "--tlskey", seed, "--tlscert", seed},
		{"--server", url, "--context", seed},
		{"--server", url, "--creds", filepath.Join(dir, "bad.creds")},
		{"--server", url, "--nkey", filepath.Join(dir, "bad.nk")},
	}
	for _, name := range []string{"password", "token", "url", "away", "odd", "seed", "creds", "jwt", "rubbish"} {
		ways = append(ways, []string{"--context", name})
	}
	commands := [][]string{{"list"}, {"doctor", "--json"}}
	look := func(args ...string) {
		o := durable(t, args...)
		for _, s := range []string{secret, seed, seed[:20], jwt} {
			if strings.Contains(o.out+o.err, s) {
				t.Errorf("durable %q shows a secret:\n%s%s", args, o.out, o.err)
				return
			}
		}
	}
	for _, way := range ways {
		for _, c := range commands {
			look(append(c, way...)...)
		}
	}
	// Use valid credentials, so that the command gets past the login.
	in := []string{"--server", url, "--user", "me", "--password", "secret"}
	durable(t, append([]string{"setup"}, in...)...).want(t, exitOK)
	for _, monitor := range []string{
		"http://me:" + secret + "@127.0.0.1:1", "http://" + secret + "@127.0.0.1:1", "http://me:%zz" + secret + "@127.0.0.1:1",
		"http://127.0.0.1:1/?key=" + secret, "http://me:x/" + secret + "@127.0.0.1:1",
	} {
		look(append([]string{"doctor", "--monitor", monitor}, in...)...)
		look(append([]string{"doctor", "--json", "--monitor", monitor}, in...)...)
	}
	for _, system := range []string{"nats://me:" + secret + "@" + host, "nats://" + secret + "@127.0.0.1:1", "nats://me:%zz" + secret + "@127.0.0.1:1"} {
		look(append([]string{"doctor", "--system", system}, in...)...)
	}
	for _, variable := range []string{"NATS_URL", "NATS_CONTEXT"} {
		t.Setenv(variable, "nats://me:"+secret+"@127.0.0.1:1")
		look("list")
		look("doctor", "--json")
		look("enqueue", "x", "1")
		t.Setenv(variable, "")
	}
}
