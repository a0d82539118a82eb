package main

import (
	"strings"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/durable-execution/durable/jsstore/jstest"
)

func TestLookingMakesNoNamespace(t *testing.T) {
	server := jstest.Listening(t)
	nc, err := server.Connect()
	if err != nil {
		t.Fatal(err)
	}
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"list"}, {"get", "a"}, {"tree", "a"}, {"cancel", "a", "--yes"}, {"wake", "a", "--output", "1"}, {"retry", "a"}, {"delete", "a", "--yes"}, {"enqueue", "a"}, {"wait", "a"}, {"queues"}, {"queues", "pause", "a"}, {"executors"}, {"tasks"}} {
		o := durable(t, append(args, "--server", server.URL())...).want(t, exitStore)
		want := "durable: open namespace durable: stream durable-ready: missing: durable setup makes it\n" +
			"hint: durable setup --server " + server.URL() + " creates the missing parts of the namespace\n"
		if o.err != want {
			t.Errorf("%v: stderr = %q, want %q", args, o.err, want)
		}
	}
	for name := range js.StreamNames(t.Context()).Name() {
		t.Errorf("there is a stream %s", name)
	}
	_, store := uploadedOnce(t)
	o := durable(t, "list", "--dir", store, "--namespace", "other").want(t, exitStore)
	if !strings.HasPrefix(o.err, "durable: there is no namespace other in "+store+"\nhint: ") {
		t.Errorf("stderr = %q", o.err)
	}
}

func TestSetup(t *testing.T) {
	server := jstest.Listening(t)
	var transcript strings.Builder
	for _, line := range []string{
		"setup --queue default --queue mail --lease 5s",
		"setup --queue default --queue mail",
		"setup --max-ready 1000 --retention forever",
		"setup --json --namespace other",
		"list",
		"list --namespace third",
		"setup --replicas 3",
	} {
		o := durable(t, append(strings.Fields(line), "--server", server.URL())...)
		transcript.WriteString("$ durable " + line + "\n" + o.out + o.err + "\n")
	}
	for _, line := range []string{
		"setup", "setup x", "setup --server x --replicas 9", "setup --server x --lease 1ms", "setup --server x --retention 1ms",
		"setup --server x --retention soon", "setup --server x --max-ready -2", "setup --server x --queue a.b",
	} {
		o := durable(t, strings.Fields(line)...).want(t, exitUsage)
		transcript.WriteString("$ durable " + line + "\n" + o.out + o.err + "\n")
	}
	golden(t, "setup", scrub(transcript.String(), t.TempDir()))
}
