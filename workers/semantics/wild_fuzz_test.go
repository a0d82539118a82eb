package semantics_test

import (
	"context"
	"errors"
	"flag"
	"log/slog"
	"math/rand/v2"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/jsstore"
	"github.com/durable-execution/durable/jsstore/embedded"
	"github.com/durable-execution/durable/jsstore/jstest"
	"github.com/durable-execution/durable/jsstore/scan"
	"github.com/durable-execution/durable/workers"
)

var (
	wildMessages = flag.Int("wild", 1500, "how many wild messages to publish; 10,000 takes about a minute")
	wildSeed     = flag.Uint64("wild-seed", 1, "what the wild messages are made from")
)

// wildPatience is how long the canary may take after all other messages. On a machine of its own it
// takes milliseconds.
const wildPatience = 10 * time.Second

// A wildPlace is a server that listens on TCP, in real time, with an executor.
type wildPlace struct {
	t     *testing.T
	store *embedded.Store
	stop  func()
}

// execute replaces the executor by a new one with few slots.
func (p *wildPlace) execute() {
	p.t.Helper()
	p.stop()
	task := engine.Define[greeting, string]("greet", engine.Timeout(time.Second))
	x, err := workers.New(p.store, workers.Config{Slots: 4, Logger: slog.New(slog.DiscardHandler)}, engine.Bind(task, greet))
	check(p.t, err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- x.Run(ctx) }()
	p.stop = func() {
		cancel()
		check(p.t, <-ended)
	}
}

// lost returns the acknowledged messages that have left no trace: neither an execution nor a dead
// letter. It returns those that are still in the ready stream as left.
func (p *wildPlace) lost(subjects map[string]wild) (lost, left []wild) {
	p.t.Helper()
	seen := map[string]bool{}
	for x, err := range engine.NewClient(p.store).List(p.t.Context(), engine.Filter{}) {
		check(p.t, err)
		seen[x.ID] = true
	}
	for a, err := range p.store.Aside(p.t.Context()) {
		check(p.t, err)
		seen[legible(a.Place)] = true
	}
	lies := map[string]bool{}
	for m, err := range p.store.Scan().Messages(p.t.Context(), scan.Ready, 1, 0) {
		check(p.t, err)
		lies[legible(m.Key)] = true
	}
	for subject, m := range subjects {
		// Only the id of a message of a later version is known, and of a hint not even that.
		switch id := legible(idOf(subject)); {
		case seen[id], seen[legible(subject)]:
		case lies[id]:
			left = append(left, m)
		default:
			lost = append(lost, m)
		}
	}
	return lost, left
}

// legible replaces bytes that are not UTF-8, like the JSON in which the server reports a message
// whose header block can't be parsed.
func legible(text string) string { return string([]rune(text)) }

// idOf returns the rest of a subject after queue and task.
func idOf(subject string) string {
	tokens := strings.SplitN(subject, ".", 5)
	return tokens[len(tokens)-1]
}

// TestWildMessagesHurtNobody publishes random messages over TCP, in which everything is random that
// a publisher can choose. A canary that is published after them must run, all views must work,
// and each message that the server has acknowledged must leave a trace.
func TestWildMessagesHurtNobody(t *testing.T) {
	t.Logf("-wild=%d -wild-seed=%d", *wildMessages, *wildSeed)
	store, err := embedded.Open(t.Context(), embedded.Config{Dir: t.TempDir(), Port: -1, Store: jsstore.Config{Lease: 2 * time.Second}})
	check(t, err)
	t.Cleanup(func() { check(t, store.Close()) })
	p := &wildPlace{t: t, store: store, stop: func() {}}
	p.execute()
	t.Cleanup(func() { p.stop() })
	r := p.dial()
	random := &wilderness{Rand: rand.New(rand.NewPCG(*wildSeed, 0))}
	subjects, ids, refused := map[string]wild{}, map[string]bool{}, 0
	for range *wildMessages {
		m := random.message()
		if ids[idOf(m.subject)] {
			continue // only one of two messages with the same id counts, which other tests check
		}
		ids[idOf(m.subject)] = true
		a, err := r.Publish(m.subject, m.header, m.body)
		if err != nil {
			t.Fatalf("publish %s: %v", m, err)
		}
		if strings.HasPrefix(a.Refused, "-ERR") { // the server has closed the connection
			_ = r.Close()
			r = p.dial()
		}
		if a.Stored == 0 || a.Duplicate {
			refused++
			continue
		}
		subjects[m.subject] = m
	}
	t.Logf("%d stored, %d refused", len(subjects), refused)

	began := time.Now()
	a, err := r.Publish("durable.ready.default.greet.canary", nil, []byte(`{"name":"world"}`))
	check(t, err)
	if a.Stored == 0 {
		t.Fatalf("canary: %+v", a)
	}
	ctx, cancel := context.WithTimeoutCause(t.Context(), wildPatience, errors.New("the canary did not run"))
	defer cancel()
	if x, err := engine.NewClient(store).Wait(ctx, "canary"); err != nil || x.Status != engine.Completed {
		t.Fatalf("canary: %s, %v", x.Status, err)
	}
	t.Logf("the canary took %s", time.Since(began))
	if _, err := store.ListQueues(t.Context()); err != nil {
		t.Error(err)
	}
	p.execute() // an executor looks for messages that no consumer delivers when it starts, and then once a minute
	began = time.Now()
	var lost, left []wild
	for end := time.Now().Add(time.Minute); time.Now().Before(end); {
		if lost, left = p.lost(subjects); len(lost) == 0 && unexplained(left) == 0 {
			break
		}
		<-time.After(500 * time.Millisecond) // each check reads everything, which delays the executor
	}
	t.Logf("everything else took %s", time.Since(began))
	for _, m := range lost {
		t.Errorf("lost: %s", m)
	}
	for _, m := range left {
		if !isLater(m) {
			t.Errorf("left: %s", m)
		}
	}
	_ = r.Close()
}

func unexplained(list []wild) (n int) {
	for _, m := range list {
		if !isLater(m) {
			n++
		}
	}
	return n
}

// isLater reports whether a message says that it is of a later version. This version leaves it to
// executors of that one.
func isLater(m wild) bool { return strings.Contains(string(m.header), "Durable-Version") }

func (p *wildPlace) dial() *jstest.Raw {
	p.t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(p.store.URL(), "nats://"))
	check(p.t, err)
	r, err := jstest.NewRaw(conn)
	check(p.t, err)
	return r
}
