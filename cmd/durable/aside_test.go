package main

import (
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/jsstore/embedded"
)

func TestWhatIsSetAsideFromTheCommandLine(t *testing.T) {
	dir := t.TempDir()
	func() {
		s, err := embedded.Open(t.Context(), embedded.Config{Dir: dir, Port: -1})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		nc, err := nats.Connect(s.URL())
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		js, err := jetstream.New(nc)
		if err != nil {
			t.Fatal(err)
		}
		f, err := s.Cancels(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		f.Request(2)
		for _, id := range []string{"x", "y"} {
			if err := s.Cancel(t.Context(), engine.Cancel{ID: id, Reason: "why"}); err != nil {
				t.Fatal(err)
			}
			if err := (<-f.Messages()).SetAside(t.Context(), "it leads nowhere"); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := js.Publish(t.Context(), "$KV.durable-executions.bad", []byte{0x80}); err != nil {
			t.Fatal(err)
		}
	}()
	says := func(code int, want string, args ...string) {
		t.Helper()
		o := durable(t, append(args, "--dir", dir)...).want(t, code)
		if !strings.Contains(o.out+o.err, want) {
			t.Errorf("durable %s says %q and %q, want %q", strings.Join(args, " "), o.out, o.err, want)
		}
	}
	list := jsonLines[asideView](t, durable(t, "list", "--set-aside", "--jsonl", "--dir", dir).want(t, exitOK).out)
	if len(list) != 3 || list[0].ID != "x" || list[0].Kind != "message" || list[0].Place != "durable.cancel.x" || list[0].Reason != "it leads nowhere" ||
		list[1].ID != "y" || list[2].Kind != "record" || list[2].ID != "bad" {
		t.Fatalf("aside: %+v, want the cancels of x and y and the record bad", list)
	}
	says(exitOK, list[0].Name, "list", "--set-aside")
	says(exitOK, "1 of 3 entries", "list", "--set-aside", "--limit", "1")
	says(exitUsage, "you can combine it with --limit only", "list", "--set-aside", "--roots")
	says(exitOK, "no executions", "list")
	says(exitIncomplete, "can't be read", "get", "bad")
	says(exitOK, "put back "+list[0].Name+"\n", "putback", list[0].Name)
	says(exitNotFound, "no message is set aside", "putback", list[0].Name)
	says(exitOK, `"done":"forgot"`, "forget", list[1].Name, "--yes", "--json")
	says(exitNotFound, "no message is set aside", "forget", "x", "--yes")
	says(exitUsage, "takes one or more names", "forget")
	if list = jsonLines[asideView](t, durable(t, "list", "--set-aside", "--jsonl", "--dir", dir).out); len(list) != 1 {
		t.Errorf("aside: %+v, want the record", list)
	}
}
