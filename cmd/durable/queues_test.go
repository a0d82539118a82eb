package main

import (
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/durable-execution/durable/jsstore/api"
)

func TestQueuesExecutorsAndTasks(t *testing.T) {
	dir := working(t)
	var said strings.Builder
	for i, c := range []struct {
		args string
		code int
	}{
		{"queues", exitOK},
		{"queues pause mail --reason the+relay+is+down --json", exitOK},
		{"queues pause default --for 1h", exitOK},
		{"queues limit mail 3", exitOK},
		{"enqueue greet {\"name\":\"a\"} --queue mail", exitOK},
		{"enqueue greet {\"name\":\"b\"} --queue other --unchecked", exitOK},
		{"enqueue greet {\"name\":\"c\"} --delay 1h", exitOK},
		{"queues", exitOK},
		{"queues --json", exitOK},
		{"queues --jsonl", exitOK},
		{"queues resume mail", exitOK},
		{"queues resume default --json", exitOK},
		{"queues limit mail none", exitOK},
		{"queues limit mail 2 --json", exitOK},
		{"queues pause default", exitOK},
		{"queues pause nosuch", exitNotFound},
		{"queues limit nosuch 1", exitNotFound},
		{"queues resume nosuch", exitNotFound},
		{"queues pause", exitUsage},
		{"queues pause a.b", exitUsage},
		{"queues pause mail --for 0s", exitUsage},
		{"queues limit mail", exitUsage},
		{"queues limit mail 0", exitUsage},
		{"queues nosuch", exitUsage},
		{"executors", exitOK},
		{"executors --json", exitOK},
		{"executors --jsonl", exitOK},
		{"tasks", exitOK},
		{"tasks greet", exitOK},
		{"tasks greet --json", exitOK},
		{"tasks --json", exitOK},
		{"tasks --jsonl", exitOK},
		{"tasks nosuch", exitNotFound},
		{"tasks a b", exitUsage},
	} {
		args := strings.Fields(c.args)
		for k := range args {
			args[k] = strings.ReplaceAll(args[k], "+", " ")
		}
		if c.args == "queues" && i > 0 {
			counted(t, dir)
		}
		o := durable(t, append(args, "--dir", dir)...)
		if o.code != c.code {
			t.Errorf("durable %s: exit code = %d, want %d", c.args, o.code, c.code)
		}
		said.WriteString("$ durable " + c.args + "\n" + o.out + o.err + "\n")
	}
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	text := strings.ReplaceAll(scrubIDs(said.String()), dir, "STORE") // an id may contain a short host name
	text = strings.NewReplacer(`"pid":`+strconv.Itoa(os.Getpid()), `"pid":PID`, `"host":"`+host, `"host":"HOST`).Replace(text)
	for _, s := range []struct{ pattern, by string }{
		{`"(now|startedAt|pausedUntil|oldestAt)":\d+`, `"$1":MILLIS`},
		{`"oldestMs":\d+`, `"oldestMs":AGE`},
		{`"program":"[^"]*",`, ``}, // depends on how the test was built
		{`"durableVersion":"[^"]*",`, ``},

		{`(SPAN|\d+s) +durable\S* (\S+) +(\S+) +` + regexp.QuoteMeta(host) + ` +\d+`, `UP durable VERSION VERSION HOST PID`},
		{`in (59m|1h)`, `in SPAN`},
	} {
		text = regexp.MustCompile(s.pattern).ReplaceAllString(text, s.by)
	}
	golden(t, "fleet", scrub(text, dir))

	// The executions of a paused queue run once it is resumed.
	durable(t, "queues", "resume", "default", "--dir", dir).want(t, exitOK)
	durable(t, "enqueue", "greet", `{"name":"d"}`, "--wait", "--dir", dir).want(t, exitOK)
}

// counted waits until the server has counted the executions of each queue: it counts a message
// for the stream at once, and for the consumer soon after.
func counted(t *testing.T, dir string) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; {
		q := jsonLines[api.Queues](t, durable(t, "queues", "--json", "--dir", dir).want(t, exitOK).out)[0]
		if q.Unserved == 1 && q.Queues[0].Ready == 1 && q.Queues[1].Ready == 1 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the queues are %+v", q)
		}
	}
}

func TestFleetTablesFitTheTerminal(t *testing.T) {
	dir := working(t)
	durable(t, "queues", "pause", "mail", "--reason", strings.Repeat("because ", 20), "--dir", dir).want(t, exitOK)
	t.Setenv("NO_COLOR", "1")
	for _, command := range []string{"queues", "executors", "tasks"} {
		o := durableIn(t.Context(), screen{terminal: true, columns: 40}, command, "--dir", dir).want(t, exitOK)
		table := o.out[:strings.LastIndex(strings.TrimSpace(o.out), "\n")]
		for line := range strings.Lines(table) {
			if n := len([]rune(strings.TrimSpace(line))); n > 40 {
				t.Errorf("%s: %d columns: %q", command, n, line)
			}
		}
	}
	if q := jsonLines[api.Queues](t, durable(t, "queues", "--json", "--dir", dir).want(t, exitOK).out); !strings.HasPrefix(q[0].Queues[1].PauseReason, "because") {
		t.Errorf("queues = %+v", q)
	}
}
