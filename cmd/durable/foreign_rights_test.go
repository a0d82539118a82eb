package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nuid"

	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/jsstore/jstest"
)

// permissions returns the two blocks of WIRE.md that users copy into the configuration of a server:
// the permissions of a client, and the subjects that let it read records too.
func permissions(t *testing.T) (client, reading string) {
	t.Helper()
	page, err := os.ReadFile(filepath.Join(packageDir, "..", "..", "codec", "WIRE.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(page), "### Permissions\n")
	section, _, _ = strings.Cut(section, "\n# ")
	parts := strings.Split(section, "```\n")
	if len(parts) != 5 || !strings.HasPrefix(parts[1], "permissions: {") || !strings.Contains(parts[3], "KV_durable-executions") {
		t.Fatalf("the section about permissions has other blocks than two:\n%s", section)
	}
	return parts[1], strings.TrimSpace(parts[3])
}

// violations is a logger that keeps the server's lines about permissions.
type violations struct{ lockedBuffer }

func (v *violations) Errorf(format string, args ...any) {
	if line := fmt.Sprintf(format, args...); strings.Contains(line, "iolation") {
		fmt.Fprintln(v, line)
	}
}
func (*violations) Noticef(string, ...any) {}
func (*violations) Warnf(string, ...any)   {}
func (*violations) Fatalf(string, ...any)  {}
func (*violations) Debugf(string, ...any)  {}
func (*violations) Tracef(string, ...any)  {}

func TestClientsInJavaScriptNeedOnlyThePermissionsOnThePage(t *testing.T) {
	dir := javascript(t)
	client, reading := permissions(t)
	reader := strings.Replace(client, "\"] }", "\", "+reading+" ] }", 1)
	for _, role := range []struct {
		name, permissions string
		prints            map[string]string // by example
	}{
		{"client", client, map[string]string{"publish.mjs": "completed \"hello, world\"\n", "wait.mjs": "completed\n"}},
		{"reader", reader, map[string]string{"publish.mjs": "completed \"hello, world\"\n", "enqueue.mjs": "hello, world\n", "direct.mjs": "completed\n", "watch.mjs": "completed\n"}},
	} {
		t.Run(role.name, func(t *testing.T) {
			// The examples give no user: they are the user of a connection without one.
			s := jstest.Start(t, parsed(t, "no_auth_user: client\nauthorization: { users: [ { user: executor, password: pw }, { user: client, password: pw, "+role.permissions+" } ] }"))
			var seen violations
			s.SetLogger(&seen, false, false)
			executes(t, strings.Replace(s.ClientURL(), "nats://", "nats://executor:pw@", 1),
				engine.Bind(engine.Define[person, string]("greet"), func(_ context.Context, p person) (string, error) { return "hello, " + p.Name, nil }))
			for file, want := range role.prints {
				if got := command(t, dir, []string{"NATS_URL=" + s.ClientURL()}, "node", file); got != want {
					t.Errorf("%s printed %q, want %q", file, got, want)
				}
			}
			if role.name == "reader" {
				reads(t, s.ClientURL())
			}
			if got := seen.String(); got != "" {
				t.Errorf("the examples need more than the page says:\n%s", got)
			}
			for _, subject := range []string{"durable.ready.default.other.1", "durable.ready.default.greet.1.0", "durable.api.cancel", "$KV.durable-executions.1"} {
				refused(t, s.ClientURL(), subject)
			}
		})
	}
}

// reads does in Go what watch.mjs does, and reads a record.
func reads(t *testing.T, url string) {
	t.Helper()
	nc, err := nats.Connect(url, quiet)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	ctx := bounded(t)
	left := map[string]bool{}
	for range 64 {
		id := nuid.Next()
		left[id] = true
		if _, err := js.Publish(ctx, "durable.ready.default.greet."+id, []byte(`{"name":"`+strings.Repeat("x", 16<<10)+`"}`)); err != nil {
			t.Fatal(err)
		}
	}
	kv, err := js.KeyValue(ctx, "durable-executions")
	if err != nil {
		t.Fatal(err)
	}
	w, err := kv.Watch(ctx, "*")
	if err != nil {
		t.Fatal(err)
	}
	for len(left) > 0 {
		select {
		case e := <-w.Updates():
			if e == nil || !left[e.Key()] {
				continue // all records so far have been sent; or another record
			}
			if x, err := engine.DecodeRecord(e.Value()); err != nil {
				t.Fatal(err)
			} else if x.Status.Finished() {
				delete(left, x.ID)
			}
		case <-ctx.Done():
			t.Fatalf("%d of 64 records are missing", len(left))
		}
	}
	if err := w.Stop(); err != nil {
		t.Error(err)
	}
	if _, err := kv.Get(ctx, "=namespace"); err != nil {
		t.Error(err)
	}
	if err := nc.Flush(); err != nil {
		t.Error(err)
	}
}

// refused fails unless the server refuses a publish.
func refused(t *testing.T, url, subject string) {
	t.Helper()
	nc, err := nats.Connect(url, quiet)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	if err := errors.Join(nc.Publish(subject, nil), nc.Flush()); err != nil {
		t.Fatal(err)
	}
	if err := nc.LastError(); !errors.Is(err, nats.ErrPermissionViolation) {
		t.Errorf("publish to %s: %v, want a permissions violation", subject, err)
	}
}
