package jstest_test

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats-server/v2/server/ats"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/durable-execution/durable/jsstore/embedded"
	"github.com/durable-execution/durable/jsstore/jstest"
)

// The rules of BubbleHost, each tested from both sides. A test that keeps a rule must pass: if
// it fails, an upgrade needs more rules. A test that breaks a rule shows what the rule is for:
// if it passes, the rule can go.

const (
	broken = "JSTEST_BROKEN_RULE" // names the rule that the process breaks
	asleep = "falls asleep"       // printed by such a process before it sleeps
)

var rules = map[string]struct {
	keep     func(*testing.T)
	violate  func(*testing.T)
	symptoms []string // of a violation, in the output of go test
}{
	"the clock of package ats runs outside": {
		keep: func(t *testing.T) { jstest.Bubble(t, sleepAnHour) },
		violate: func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { sleepAnHour(t, bare(t, 0)) })
		},
		symptoms: []string{asleep, "killed"},
	},
	"timers of nats.go stay in their bubble": {
		keep: func(t *testing.T) {
			for range 3 {
				jstest.Bubble(t, flush)
				flush(t, jstest.Server(t))
			}
		},
		violate: func(t *testing.T) {
			ats.Register()
			defer ats.Unregister()
			// More than once: the race detector drops one in four values from a pool.
			for range 10 {
				synctest.Test(t, func(t *testing.T) { flush(t, bare(t, 0)) })
			}
		},
		symptoms: []string{"fatal error", "synctest"},
	},
	"a fake minute passes after the shutdown": {
		keep: func(t *testing.T) { jstest.Bubble(t, publishBatch) },
		violate: func(t *testing.T) {
			ats.Register()
			defer ats.Unregister()
			synctest.Test(t, func(t *testing.T) { publishBatch(t, bare(t, 0)) })
		},
		symptoms: []string{"deadlock: main bubble goroutine has exited but blocked goroutines remain", "flushLoop"},
	},
	"the server has no port": {
		keep: func(t *testing.T) { jstest.Bubble(t, sleepAnHour) },
		violate: func(t *testing.T) {
			ats.Register()
			defer ats.Unregister()
			synctest.Test(t, func(t *testing.T) { sleepAnHour(t, bare(t, -1)) })
		},
		symptoms: []string{asleep, "killed"},
	},
}

func TestRulesOfTheBubble(t *testing.T) {
	if rule := os.Getenv(broken); rule != "" {
		rules[rule].violate(t)
		return
	}
	for name, rule := range rules {
		t.Run(name, rule.keep)
	}
	t.Run("broken", func(t *testing.T) {
		if testing.Short() {
			t.Skip("only waiting can tell a stopped clock from a slow one: skipped in short mode")
		}
		for name, rule := range rules {
			t.Run(name, func(t *testing.T) {
				t.Parallel() // they wait in processes of their own
				said := violate(t, name)
				for _, symptom := range rule.symptoms {
					if !strings.Contains(said, symptom) {
						t.Errorf("a test that breaks the rule says no %q but\n%s", symptom, said)
					}
				}
			})
		}
	})
}

// violate runs this same test in a process that breaks the rule, and returns what it prints and
// how it ends. A process that falls asleep has 2 s to wake up.
func violate(t *testing.T, rule string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestRulesOfTheBubble$")
	cmd.Env = append(os.Environ(), broken+"="+rule)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = cmd.Stdout
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var said []string
	for lines := bufio.NewScanner(out); lines.Scan(); {
		said = append(said, lines.Text())
		if lines.Text() == asleep {
			defer time.AfterFunc(2*time.Second, func() { _ = cmd.Process.Kill() }).Stop()
		}
	}
	if err = cmd.Wait(); err == nil {
		t.Errorf("a test that breaks the rule passes")
	}
	return fmt.Sprintf("%s\n%v", strings.Join(said, "\n"), err)
}

// bare returns a connection like that of Bubble, but without the rules.
func bare(t *testing.T, port int) *nats.Conn {
	t.Helper()
	s, err := embedded.Start(t.Context(), embedded.Config{Dir: t.TempDir(), Port: port, SyncInterval: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	nc, err := s.Connect()
	if err != nil {
		t.Fatal(err)
	}
	return nc
}

func sleepAnHour(t *testing.T, nc *nats.Conn) {
	queue(t, nc, time.Minute) // a file store uses the clock of ats
	if os.Getenv(broken) != "" {
		fmt.Println(asleep)
	}
	time.Sleep(time.Hour)
}

func flush(t *testing.T, nc *nats.Conn) {
	if err := nc.Flush(); err != nil {
		t.Error(err)
	}
}

// publishBatch leaves a loop of the file store behind.
func publishBatch(t *testing.T, nc *nats.Conn) {
	_, err := jetStream(t, nc).CreateStream(t.Context(), jetstream.StreamConfig{Name: "BATCH", Subjects: []string{"batch.>"}, AllowAtomicPublish: true})
	if err != nil {
		t.Fatal(err)
	}
	for i := 1; i <= 3; i++ {
		m := nats.NewMsg(fmt.Sprintf("batch.%d", i))
		m.Header.Set("Nats-Batch-Id", "b")
		m.Header.Set("Nats-Batch-Sequence", fmt.Sprint(i))
		if i == 3 {
			m.Header.Set("Nats-Batch-Commit", "1")
		}
		if _, err := nc.RequestMsgWithContext(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
}
