//go:build unix

package main

import (
	"context"
	"encoding/json"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/gdamore/tcell/v2"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/jsstore"
	"github.com/durable-execution/durable/jsstore/api"
	"github.com/durable-execution/durable/jsstore/jstest"
	"github.com/durable-execution/durable/workers"
)

// executorProcess is the role of an executor as a process of its own.
const executorProcess = "executor"

func init() {
	if os.Getenv("DURABLE_TEST_ROLE") != "" { // this is such a process: it runs no tests
		jstest.Main(nil, map[string]jstest.Role{executorProcess: executeAlone})
	}
}

// A lonely is what an executor process is told.
type lonely struct {
	Name, URL string
	Ends      bool // its task returns at once
}

// executeAlone runs an executor of one slot until it is killed or stopped.
func executeAlone(config []byte, ready func()) error {
	var c lonely
	if err := json.Unmarshal(config, &c); err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	s, err := jsstore.Connect(ctx, c.URL, jsstore.Config{})
	if err != nil {
		return err
	}
	defer s.Close()
	work := engine.Define[int, string]("work", engine.NoTimeout)
	x, err := workers.New(s, workers.Config{Name: c.Name, Slots: 1}, engine.Bind(work, func(ctx context.Context, _ int) (string, error) {
		if c.Ends {
			return "done by " + c.Name, nil
		}
		<-ctx.Done()
		return "", context.Cause(ctx)
	}))
	if err != nil {
		return err
	}
	ready()
	return x.Run(ctx)
}

// TestEveryViewTellsOfAKilledExecutorUntilItIsReplaced kills an executor in the middle of an
// attempt, and looks through everything that shows executions or executors.
func TestEveryViewTellsOfAKilledExecutorUntilItIsReplaced(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for a lease of 15 s")
	}
	const lease = 15 * time.Second
	url := started(t, &server.Options{ServerName: "one", JetStream: true}).ClientURL()
	durable(t, "setup", "--lease", lease.String(), "--server", url).want(t, exitOK)
	at := []string{"--server", url}
	victim := jstest.Spawn(t, executorProcess, lonely{Name: "victim", URL: url})
	victim.AwaitReady()
	durable(t, append([]string{"enqueue", "work", "1", "--id", "x", "--force"}, at...)...).want(t, exitOK)
	begun(t, "x", at...)
	heir := jstest.Spawn(t, executorProcess, lonely{Name: "heir", URL: url, Ends: true})
	heir.AwaitReady()
	answering(t, url, 2)

	list, listed := onTerminal(t, t.Context(), append([]string{"list", "--watch"}, at...)...)
	tree, grown := onTerminal(t, t.Context(), append([]string{"tree", "x", "--watch"}, at...)...)
	top, topped := onTerminal(t, t.Context(), append([]string{"top"}, at...)...)
	list.until(t, "running")
	tree.until(t, "running")
	top.until(t, "victim")
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var piped, errs lockedBuffer
	watched := make(chan int, 1)
	go func() {
		watched <- run(ctx, append([]string{"list", "--watch", "--json"}, at...), streams{out: screen{Writer: &piped}, err: screen{Writer: &errs}})
	}()

	killed := time.Now()
	victim.Kill()
	first := jsonLines[view](t, durable(t, append([]string{"get", "x", "--json"}, at...)...).want(t, exitOK).out)[0]
	if first.Display != "executor lost" || first.Status != engine.Running || first.Lost == nil || first.Lost.Executor != "victim" {
		t.Fatalf("get shows %+v, want a lost executor", first)
	}
	by := time.UnixMilli(first.Lost.TakenOverBy)
	if earliest, latest := killed.Add(lease), time.Now().Add(lease); by.Before(earliest.Add(-time.Second)) || by.After(latest) {
		t.Errorf("taken over by %s, want between %s and %s", by, earliest, latest)
	}
	// The first look has its own time, and the heir remembers that of the view that told it
	// first: from then on all go by the heir.
	again := jsonLines[view](t, durable(t, append([]string{"get", "x", "--json"}, at...)...).want(t, exitOK).out)[0]
	if late := again.Lost.TakenOverBy - first.Lost.TakenOverBy; max(late, -late) > 500 {
		t.Errorf("the second look says %d ms later, want about the same time", late)
	}
	by = time.UnixMilli(again.Lost.TakenOverBy)
	clock := by.UTC().Format("15:04:05")
	sameTime(t, url, again.Lost.TakenOverBy)

	words := map[string][]string{
		"get x":      {"executor lost", "victim: no answer for ", "takes over by " + clock},
		"queues":     {"victim holds ", "no answer for ", "takes over by " + clock},
		"executors":  {"victim", "no answer for ", "takes over by " + clock},
		"list":       {"executor lost", "victim holds ", "no answer for ", "takes over by " + clock},
		"tree x":     {"executor lost", "victim: no answer for ", "takes over by " + clock},
		"top --once": {"victim", "no answer for ", "takes over by " + clock},
		"doctor":     {"victim", "has not answered for ", "takes them over by", by.UTC().Truncate(time.Second).Format(time.RFC3339)},
	}
	var looking sync.WaitGroup
	said := make(chan [2]string, len(words))
	for command := range words {
		looking.Go(func() {
			said <- [2]string{command, durableIn(t.Context(), screen{}, append(strings.Fields(command), at...)...).out}
		})
	}
	looking.Wait()
	close(said)
	for s := range said {
		for _, w := range words[s[0]] {
			if !strings.Contains(s[1], w) {
				t.Errorf("durable %s lacks %q:\n%s", s[0], w, s[1])
			}
		}
	}
	list.until(t, "executor lost")
	tree.until(t, "executor lost", "no answer for ", "takes over by ")
	top.until(t, "victim", "no answer for ")

	done := jsonLines[view](t, durable(t, append([]string{"wait", "x", "--json", "--timeout", "1m"}, at...)...).want(t, exitOK).out)[0]
	if took := time.UnixMilli(done.StartedAt); string(done.Output) != `"done by heir"` || took.After(by.Add(2*time.Second)) {
		t.Errorf("%s at %s, want done by heir by %s", done.Output, took, by)
	}
	list.until(t, "completed", "!executor lost")
	top.until(t, "!victim")
	for _, s := range []*testTerminal{list, top} {
		s.InjectKey(tcell.KeyRune, 'q', tcell.ModNone)
	}
	(<-listed).want(t, exitOK)
	(<-topped).want(t, exitOK)
	(<-grown).want(t, exitOK)
	stop()
	<-watched
	lost := 0
	for _, v := range jsonLines[view](t, piped.String()) {
		if v.Lost != nil {
			lost++
		}
	}
	if lost != 1 {
		t.Errorf("list --watch --json tells %d times of a lost executor, want once:\n%s", lost, piped.String())
	}
}

// answering returns once so many executors answer.
func answering(t *testing.T, url string, n int) {
	t.Helper()
	s, err := jsstore.Connect(t.Context(), url, jsstore.Config{MustExist: true})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for deadline := time.Now().Add(20 * time.Second); ; {
		answers, err := s.RollCall(t.Context(), engine.RollCall{For: 100 * time.Millisecond})
		if err != nil || len(answers) == n {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d executors answer, want %d", len(answers), n)
		}
	}
}

// sameTime asks the API for the execution, and for the lists that it is in.
func sameTime(t *testing.T, url string, by int64) {
	t.Helper()
	nc, err := nats.Connect(url)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	for endpoint, body := range map[string]string{"get": `{"executionId":"x"}`, "list": `{}`, "tree": `{"executionId":"x"}`, "executors": ``, "queues": ``} {
		m, err := nc.Request("durable.api."+endpoint, []byte(body), 20*time.Second)
		if err != nil {
			t.Fatalf("%s: %v", endpoint, err)
		}
		var answer struct {
			api.Execution
			Executions []api.Execution     `json:"executions"`
			Executors  []json.RawMessage   `json:"executors"`
			All        []*api.LostExecutor `json:"lostExecutors"`
		}
		if err := json.Unmarshal(m.Data, &answer); err != nil {
			t.Fatalf("%s: %v in %s", endpoint, err, m.Data)
		}
		for _, x := range append(answer.Executions, answer.Execution) {
			if x.Lost != nil && x.Display == "executor lost" {
				answer.All = append(answer.All, x.Lost)
			}
		}
		if len(answer.All) != 1 || answer.All[0].Executor != "victim" || answer.All[0].Running != 1 || answer.All[0].TakenOverBy != by || answer.All[0].SilentSince == 0 {
			t.Errorf("%s answers %s, want victim lost, taken over by %d", endpoint, m.Data, by)
		}
	}
}
