package main

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"

	"github.com/durable-execution/durable/cmd/durable/bench"
	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/jsstore/embedded"
	"github.com/durable-execution/durable/workers"
)

const longName = "aTaskWithANameThatIsLongerThanAnybodyWouldWishForAndThenSomeMore"

// TestViewsFitTerminals prints every view of a store with one long task name. On a terminal, no
// line is too wide unless it is a single word, and no column is missing.
func TestViewsFitTerminals(t *testing.T) {
	dir := t.TempDir()
	s, err := embedded.Open(t.Context(), embedded.Config{Dir: dir, Port: -1})
	if err != nil {
		t.Fatal(err)
	}
	long := engine.Define[greeting, string](longName, engine.Queue("mail"))
	tree := engine.Define[int, int]("tree")
	x, err := workers.New(s, workers.Config{Name: "an-executor-on-a-host-with-a-name-of-some-length", Slots: 8, Queues: map[string]int{"default": 1, "mail": 2}},
		engine.Bind(long, func(context.Context, greeting) (string, error) {
			return "", engine.Permanent(errors.New("the words of this error go on for longer than a line of any terminal that somebody may have"))
		}),
		engine.BindParent(tree, func(_ context.Context, n int, c *engine.Children) (int, error) {
			for range n {
				long.Spawn(c, greeting{"x"})
			}
			return n, nil
		}, func(_ context.Context, j engine.Joined[int, int]) (int, error) { return j.Output, nil }),
	)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ran := make(chan error, 1)
	go func() { ran <- x.Run(ctx) }()
	t.Cleanup(func() { stop(); <-ran; _ = s.Close() })
	for {
		answers, err := s.RollCall(t.Context(), engine.RollCall{For: 100 * 1e6})
		if err != nil {
			t.Fatal(err)
		}
		if len(answers) == 1 {
			break
		}
	}
	// Without --queue, the execution goes to the queue of its task.
	durable(t, "enqueue", longName, `{"name":"x"}`, "--id", "single", "--wait", "--dir", dir).want(t, exitIncomplete)
	if v := jsonLines[view](t, durable(t, "get", "single", "--json", "--dir", dir).want(t, exitOK).out)[0]; v.Queue != "mail" {
		t.Errorf("it went to queue %s, want mail", v.Queue)
	}
	durable(t, "enqueue", "tree", "2", "--id", "whole", "--wait", "--dir", dir).want(t, exitIncomplete)
	t.Setenv("NO_COLOR", "1")
	for _, c := range []struct {
		line string
		has  string // words that the output contains at any width
	}{
		{"list --all", "STATUS failed single whole.0 CREATED"}, {"list --failed --columns execution,error,queue", "ERROR QUEUE mail single"},
		{"get single", "execution single task error failed"}, {"get whole", "children status error"}, {"tree whole", "STATUS failed TASK whole"}, {"tree single", "STATUS TRIES failed"},
		{"tasks", "QUEUE SERVED EXECUTORS INPUT OUTPUT"}, {"tasks tree", "task queue served executors input"}, {"executors", "RUNNING QUEUES STATE UP PROGRAM DURABLE HOST PID"}, {"queues", "READY LIMIT EXECUTORS default mail"},
		{"top --once", "LOAD RUNNING QUEUES READY default mail"}, {"doctor", "Servers Streams Queues survives"}, {"list --set-aside", "no message or record is set aside"},
		{"get nosuch", "not found hint:"}, {"list --status nosuch", "unknown hint: cancelled"}, {"version", "nats-server"}, {"options", "--json --server"}, {"enqueue --help", "--wait-timeout Examples:"}, {"--help", "130 list"},
	} {
		for _, width := range []int{80, 40, 0} {
			o := durableIn(t.Context(), screen{terminal: width > 0, columns: width}, append(strings.Fields(c.line), "--dir", dir)...)
			text := o.out + o.err
			for line := range strings.Lines(text) {
				line = strings.TrimSuffix(line, "\n")
				if n := len([]rune(line)); width > 0 && n > width && len(strings.Fields(line)) > 1 {
					t.Errorf("durable %s in %d columns: %d in %q", c.line, width, n, line)
				}
				if strings.Contains(line, "\x1b[3") {
					t.Errorf("durable %s prints colours despite NO_COLOR: %q", c.line, line)
				}
			}
			for word := range strings.FieldsSeq(c.has) {
				if !strings.Contains(text, word) {
					t.Errorf("durable %s in %d columns lacks %s:\n%s", c.line, width, word, text)
				}
			}
		}
	}
}

func TestATaskGoesToTheQueueThatExecutorsTell(t *testing.T) {
	answer := func(queue string, served ...string) engine.Answer {
		p := engine.Presence{Queues: map[string]int{}, Tasks: []engine.BoundTask{{ID: "t", Queue: queue}, {ID: "other", Queue: "elsewhere"}}}
		for _, q := range served {
			p.Queues[q] = 1
		}
		return engine.Answer{Presence: p}
	}
	for _, c := range []struct {
		answers []engine.Answer
		want    string
	}{
		{[]engine.Answer{answer("mail", "mail", "default")}, "mail"},
		{[]engine.Answer{answer("mail", "default")}, "mail"},                             // the queue of the task, although no executor serves it
		{[]engine.Answer{answer("old", "new"), answer("new", "new")}, "new"},             // executors have two versions of the task
		{[]engine.Answer{answer("", "mail"), answer("", "mail")}, "mail"},                // executors of a version that does not report the queue
		{[]engine.Answer{answer("", "mail", "default")}, "default"},                      // such a version, with several queues
		{[]engine.Answer{answer("", "mail", "default"), answer("mail", "mail")}, "mail"}, // a mixed fleet
		{[]engine.Answer{answer("")}, "default"},
	} {
		if got := boundBy(c.answers, "t").queue(); got != c.want {
			t.Errorf("of %+v the queue is %s, want %s", c.answers, got, c.want)
		}
	}
}

func TestDevSaysThatItsPortIsTaken(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:4222")
	if err == nil { // otherwise another program uses the port, which is as good
		defer l.Close()
	}
	ctx, stop := context.WithCancel(t.Context())
	var out, errs lockedBuffer
	ended := make(chan int, 1)
	go func() {
		ended <- run(ctx, []string{"dev", "--dir", t.TempDir()}, streams{out: screen{Writer: &out}, err: screen{Writer: &errs}})
	}()
	until(t, &out, "stop ")
	stop()
	if code := <-ended; code != exitOK {
		t.Errorf("exit code %d", code)
	}
	if want := "note: port 4222 is taken: the server listens at nats://127.0.0.1:"; !strings.HasPrefix(errs.String(), want) {
		t.Errorf("stderr %q, want %q", errs.String(), want)
	}
	if o := durable(t, "dev", "--port", "4222", "--dir", t.TempDir()).want(t, exitStore); !strings.Contains(o.err, "port 4222 is taken") || !strings.Contains(o.err, "hint: --port picks another") {
		t.Errorf("stderr %q", o.err)
	}
}

func TestBenchPrintsOneDocument(t *testing.T) {
	args := []string{"bench", "throughput", "latency", "--embedded", "--count", "5", "--rounds", "1", "--no-floor", "--dir", t.TempDir()}
	type reports struct {
		Reports []bench.Report `json:"reports"`
	}
	if list := jsonLines[reports](t, durable(t, append(args, "--json")...).want(t, exitOK).out); len(list) != 1 || len(list[0].Reports) != 2 || list[0].Reports[1].Workload != "latency" {
		t.Errorf("--json prints %+v", list)
	}
	if list := jsonLines[bench.Report](t, durable(t, append(args, "--jsonl")...).want(t, exitOK).out); len(list) != 2 || list[0].Workload != "throughput" {
		t.Errorf("--jsonl prints %+v", list)
	}
}
