package main

import (
	"strings"
	"testing"

	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/jsstore/embedded"
)

func TestWakeAndRetryFromTheCommandLine(t *testing.T) {
	dir := t.TempDir()
	ask := engine.DefineSleeping[string, bool]("ask")
	func() {
		s, err := embedded.Open(t.Context(), embedded.Config{Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		for _, id := range []engine.ID{"yes", "no"} {
			if _, err := ask.Enqueue(t.Context(), engine.NewClient(s), "may I?", id); err != nil {
				t.Fatal(err)
			}
		}
	}()
	says := func(code int, want string, args ...string) {
		t.Helper()
		o := durable(t, append(args, "--dir", dir)...).want(t, code)
		if !strings.Contains(o.out+o.err, want) {
			t.Errorf("durable %s says %q and %q, want %q", strings.Join(args, " "), o.out, o.err, want)
		}
	}
	says(exitUsage, "one of --output and --error", "wake", "yes")
	says(exitUsage, "one of --output and --error", "wake", "yes", "--output", "1", "--error", "why")
	says(exitUsage, "--output is not JSON: maybe", "wake", "yes", "--output", "maybe")
	says(exitNotFound, "nobody", "wake", "nobody", "--output", "1")
	says(exitIncomplete, "it is ready", "retry", "no")
	says(exitOK, "woke yes: it has completed\n", "wake", "yes", "--output", "true")
	says(exitOK, `{"executionId":"no","status":"failed"}`, "wake", "no", "--error", "never", "--json")
	says(exitIncomplete, "execution has finished: it is completed", "wake", "yes", "--output", "true")
	says(exitOK, "never", "get", "no")

	says(exitIncomplete, "it is completed", "retry", "yes")
	says(exitUsage, "--input is not JSON", "retry", "no", "--input", "{")
	says(exitUsage, "execution id", "retry", "no", "--id", "a b")
	says(exitOK, "retried no as again\n", "retry", "no", "--id", "again")
	says(exitOK, `{"executionId":"again","retryOf":"no"}`, "retry", "no", "--id", "again", "--json")
	says(exitIncomplete, "execution id is taken: execution again has another input", "retry", "no", "--id", "again", "--input", `"now?"`)
	says(exitOK, "retry of   no\n", "get", "again")
	says(exitOK, "retry of no\n", "tree", "again")
}

func TestWakeRefusesWhatIsNoOutputOfTheTask(t *testing.T) {
	dir := working(t)
	durable(t, "enqueue", "idle", `"x"`, "--id", "c", "--dir", dir).want(t, exitOK)
	o := durable(t, "wake", "c", "--output", `"yes"`, "--dir", dir).want(t, exitUsage)
	if want := `wake c: invalid output of task "idle"`; !strings.Contains(o.err, want) {
		t.Errorf("stderr = %q, want %q", o.err, want)
	}
	durable(t, "wake", "c", "--output", "true", "--dir", dir).want(t, exitOK)
	durable(t, "wait", "c", "--dir", dir).want(t, exitOK)
}
