package semantics_test

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/durable-execution/durable/codec"
	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/jsstore"
	"github.com/durable-execution/durable/jsstore/embedded"
)

// nextBuild has the source changes that make the next build of this module: it knows version 2
// of the wire, writes one more field in every record, and one task needs version 2.
var nextBuild = map[string][]struct{ this, next string }{"record.go": {
	{"const Version = 1\n", "const Version = 2\n"},
	{"version = leastVersion\n", "version = versionOf(x)\n"},
	{"\tf.anyString(\"executionId\", &x.ID)\n", "\tdream := 7\n\tf.int(\"dream\", &dream)\n\tf.anyString(\"executionId\", &x.ID)\n"},
	{"// leastVersion is", "func versionOf(x *Execution) int {\n\tif x.Task == \"dream\" {\n\t\treturn 2\n\t}\n\treturn 1\n}\n\n// leastVersion is"},
}}

// build builds the program of the fleet from this source, and from the source of the next build.
func build(t *testing.T) (this, next string) {
	t.Helper()
	dir := t.TempDir()
	this, next = filepath.Join(dir, "this"), filepath.Join(dir, "next")
	replace := map[string]string{}
	for name, changes := range nextBuild {
		source, err := filepath.Abs("../../engine/" + name)
		check(t, err)
		text, err := os.ReadFile(source)
		check(t, err)
		changed := string(text)
		for _, c := range changes {
			if !strings.Contains(changed, c.this) {
				t.Fatalf("engine/%s has no %q to change", name, c.this)
			}
			changed = strings.Replace(changed, c.this, c.next, 1)
		}
		replace[source] = filepath.Join(dir, name)
		check(t, os.WriteFile(replace[source], []byte(changed), 0o600))
	}
	overlay, err := json.Marshal(map[string]any{"Replace": replace})
	check(t, err)
	check(t, os.WriteFile(filepath.Join(dir, "overlay.json"), overlay, 0o600))
	for _, args := range [][]string{
		{"build", "-o", this, "./testdata/fleet"},
		{"build", "-overlay", filepath.Join(dir, "overlay.json"), "-o", next, "./testdata/fleet"},
	} {
		if out, err := exec.Command("go", args...).CombinedOutput(); err != nil {
			t.Fatalf("go %v: %v\n%s", args, err, out)
		}
	}
	return this, next
}

// TestTwoBuildsShareAFleet runs executors of this build and of the next one, which has changed
// the wire, on the same executions: retries that alternate between the builds, trees, and a task
// that needs the new version. No execution fails because of that. This build leaves executions
// of the new version to the next build, and keeps the fields that the next build has written.
func TestTwoBuildsShareAFleet(t *testing.T) {
	if testing.Short() {
		t.Skip("builds two programs and runs them")
	}
	this, next := build(t)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	server, err := embedded.Start(ctx, embedded.Config{Dir: t.TempDir(), Port: -1})
	check(t, err)
	defer server.Close()
	nc, err := nats.Connect(server.URL())
	check(t, err)
	defer nc.Close()
	s, err := jsstore.Open(ctx, nc, jsstore.Config{Lease: 2 * time.Second})
	check(t, err)
	defer s.Close()
	js, err := jetstream.New(nc)
	check(t, err)
	kv, err := js.KeyValue(ctx, "durable-executions")
	check(t, err)
	stored := func(id string) (fields map[string]any) {
		t.Helper()
		e, err := kv.Get(ctx, id)
		check(t, err)
		check(t, codec.UnmarshalRecord(e.Value(), &fields))
		return fields
	}
	start := func(program, name string) *exec.Cmd {
		t.Helper()
		cmd := exec.Command(program, server.URL(), name)
		cmd.Stderr = os.Stderr
		check(t, cmd.Start())
		t.Cleanup(func() { _ = cmd.Process.Kill() })
		return cmd
	}
	stop := func(cmd *exec.Cmd) {
		t.Helper()
		check(t, cmd.Process.Signal(syscall.SIGTERM))
		check(t, cmd.Wait())
	}

	flaky := engine.Define[int, int]("flaky", engine.Retry{MaxRetries: 4, BaseDelay: 30 * time.Millisecond})
	dream := engine.Define[int, int]("dream", engine.Retry{MaxRetries: 4, BaseDelay: 30 * time.Millisecond})
	family := engine.Define[int, int]("family")
	client := engine.NewClient(s)
	older, newer := start(this, "this"), start(next, "next")

	var handles []engine.Handle[int]
	for i := range 12 {
		for _, task := range []engine.Task[int, int]{flaky, dream} {
			h, err := task.Enqueue(ctx, client, 4)
			check(t, err)
			handles = append(handles, h)
		}
		if i%4 == 0 {
			h, err := family.Enqueue(ctx, client, 5)
			check(t, err)
			handles = append(handles, h)
		}
	}
	mixed, kept := 0, 0
	for _, h := range handles {
		if _, err := h.Wait(ctx); err != nil {
			x, _ := h.Get(context.Background())
			t.Fatalf("%v\n%+v", err, x)
		}
		x, err := h.Get(ctx)
		check(t, err)
		fields := stored(x.ID)
		byNext, byThis := 0, 0
		for _, a := range x.History {
			switch a.Executor {
			case "next":
				byNext++
			case "this":
				byThis++
				if x.Task == "dream" && byNext > 0 {
					t.Errorf("%s: attempt %d ran on this build, after the next had written it", x.ID, a.Number)
				}
			}
		}
		if byNext > 0 && fields["dream"] != int64(7) {
			t.Errorf("%s: field of the next build = %v, want it kept", x.ID, fields["dream"])
		}
		if byNext > 0 && byThis > 0 {
			mixed++
		}
		if last := x.History[len(x.History)-1]; byNext > 0 && last.Executor == "this" {
			kept++
		}
	}
	t.Logf("%d executions, %d of them by both builds, %d with this build's write after the next's", len(handles), mixed, kept)
	if mixed == 0 || kept == 0 {
		t.Error("the builds never met in one execution: nothing was tested")
	}

	// An execution that only the next build understands waits for it, unchanged.
	stop(older)
	h, err := dream.Enqueue(ctx, client, 1, engine.Retry{MaxRetries: 1, BaseDelay: 1200 * time.Millisecond}, engine.ID("waits"))
	check(t, err)
	for {
		if x, err := h.Get(ctx); err == nil && x.Attempt == 1 {
			break
		}
		time.Sleep(5 * time.Millisecond)
	}
	stop(newer)
	older = start(this, "this")
	_, err = flaky.Enqueue(ctx, client, 0, engine.ID("neighbour"), engine.Delay(1300*time.Millisecond)) // due after it
	check(t, err)
	if _, err := flaky.Handle(client, "neighbour").Wait(ctx); err != nil {
		t.Fatal(err)
	}
	if fields := stored("waits"); fields["v"] != int64(2) || fields["status"] != "ready" || fields["attempt"] != int64(1) {
		t.Errorf("record = %v, want it as the next build left it", fields)
	}
	newer = start(next, "next")
	if n, err := h.Wait(ctx); err != nil || n != 1 {
		t.Errorf("output = %d, %v, want 1", n, err)
	}
	stop(older)
	stop(newer)
}
