package main

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
)

// answered runs the program at a terminal where a person types the answer.
func answered(t *testing.T, answer string, args ...string) outcome {
	t.Helper()
	t.Setenv("NO_COLOR", "1")
	var out, errs lockedBuffer
	s := streams{
		in: strings.NewReader(answer), asked: true,
		out: screen{Writer: &out, terminal: true, columns: 80}, err: screen{Writer: &errs, terminal: true, columns: 80},
	}
	code := run(t.Context(), args, s)
	return outcome{code, out.String(), errs.String()}
}

func TestATerminalIsAskedBeforeThingsAreRemoved(t *testing.T) {
	dir := t.TempDir()
	stop := developing(t, dir)
	for _, id := range []string{"a", "b", "c", "d"} {
		durable(t, "enqueue", "greet", `{"name":"x"}`, "--id", id, "--wait", "--dir", dir).want(t, exitOK)
	}
	no := "delete 2 executions and everything below them? [y/N] "
	for _, answer := range []string{"n\n", "\n", "nope\n"} {
		o := answered(t, answer, "delete", "a", "b", "--dir", dir).want(t, exitIncomplete)
		if want := no + "durable: not confirmed: nothing was done\nhint: --yes skips the question\n"; o.err != want || o.out != "" {
			t.Errorf("after %q: stdout %q, stderr %q, want %q", answer, o.out, o.err, want)
		}
	}
	answered(t, "", "delete", "a", "b", "--dir", dir).want(t, exitIncomplete)
	if o := answered(t, "y\n", "delete", "a", "b", "--dir", dir).want(t, exitOK); o.out != "deleted a\ndeleted b\n" || o.err != no {
		t.Errorf("stdout %q, stderr %q", o.out, o.err)
	}
	if o := answered(t, "n\n", "delete", "c", "--dir", dir).want(t, exitIncomplete); !strings.HasPrefix(o.err, "delete c and everything below it? [y/N] ") {
		t.Errorf("stderr %q", o.err)
	}
	if o := answered(t, "yes\n", "delete", "c", "--reason", "it was\na test", "--dir", dir).want(t, exitOK); o.out != "deleted c: it was; a test\n" {
		t.Errorf("stdout %q", o.out)
	}
	durable(t, "enqueue", "approve", `"may I?"`, "--id", "e", "--dir", dir).want(t, exitOK)
	if o := answered(t, "n\n", "cancel", "e", "--dir", dir).want(t, exitIncomplete); !strings.HasPrefix(o.err, "cancel e and everything below it? [y/N] ") {
		t.Errorf("stderr %q", o.err)
	}
	if o := answered(t, "y\n", "cancel", "e", "--reason", "no longer", "--dir", dir).want(t, exitOK); o.out != "cancelled e: no longer\n" {
		t.Errorf("stdout %q", o.out)
	}
	if o := answered(t, "", "delete", "d", "nosuch", "--yes", "--dir", dir).want(t, exitNotFound); !strings.HasPrefix(o.out, "deleted d\n") {
		t.Errorf("stdout %q", o.out)
	}
	if o := answered(t, "n\n", "forget", "nosuch", "--dir", dir).want(t, exitIncomplete); !strings.HasPrefix(o.err, "delete 1 message for good? [y/N] durable: not confirmed: nothing was done\n") {
		t.Errorf("stderr %q", o.err)
	}
	durable(t, "forget", "nosuch", "--yes", "--dir", dir).want(t, exitNotFound)
	for _, args := range [][]string{{"delete", "a"}, {"cancel", "a"}, {"forget", "a"}} { // there is no terminal to ask on
		o := durable(t, append(args, "--dir", dir+"/nosuch")...).want(t, exitUsage)
		if want := "durable: " + args[0] + " asks for confirmation, but there is no terminal to ask on: nothing was done\nhint: --yes skips the question\n"; o.err != want || o.out != "" {
			t.Errorf("%v: stdout %q, stderr %q, want %q", args, o.out, o.err, want)
		}
	}
	ctx, interrupt := context.WithCancel(t.Context())
	interrupt()
	var out, errs lockedBuffer
	asked := streams{in: typist{strings.NewReader(""), make(chan struct{}), new(sync.Once)}, asked: true, out: screen{Writer: &out}, err: screen{Writer: &errs, terminal: true}}
	a := &app{streams: asked}
	a.in = &stdin{ctx: ctx, r: a.in}
	if err := a.confirm(ctx, false, "go on?"); !errors.Is(err, context.Canceled) {
		t.Errorf("an interrupted question: %v", err)
	}
	stop().want(t, exitOK)
}

func TestShellsCompleteTasksExecutionsAndQueues(t *testing.T) {
	dir := t.TempDir()
	developing(t, dir)
	durable(t, "enqueue", "greet", `{"name":"x"}`, "--id", "abc", "--wait", "--dir", dir).want(t, exitOK)
	durable(t, "enqueue", "sumOfSquares", `{"numbers":[1]}`, "--id", "abd", "--wait", "--dir", dir).want(t, exitOK)
	for _, c := range []struct {
		args string
		want string
	}{
		{"enqueue gr", "greet\tmain.greetInput\n:4\n"},
		{"tasks s", "square\tint\nsumOfSquares\tmain.sumInput\n:4\n"},
		{"get abc", "abc\tgreet, completed\n:4\n"},
		{"tree abd.", "abd.0\tsquare, completed\nabd.f\tsumOfSquares-finalize, completed\n:4\n"},
		{"delete abc abd", "abd\tsumOfSquares, completed\n:4\n"},
		{"queues pause d", "default\n:4\n"},
		{"get nosuch", ":4\n"},
	} {
		args := strings.Fields(c.args)
		line := append([]string{"__complete"}, args[:len(args)-1]...)
		line = append(line, "--dir", dir, args[len(args)-1])
		o := durable(t, line...).want(t, exitOK)
		got := o.out
		if c.args == "tree abd." { // the order of the two is not defined
			got = strings.Replace(got, "abd.f\tsumOfSquares-finalize, completed\nabd.0\tsquare, completed\n", "abd.0\tsquare, completed\nabd.f\tsumOfSquares-finalize, completed\n", 1)
		}
		if got != c.want {
			t.Errorf("%s: %q, want %q", c.args, got, c.want)
		}
	}
	nowhere := t.TempDir() + "/none"
	if o := durable(t, "__complete", "get", "--dir", nowhere, "").want(t, exitOK); o.out != ":4\n" {
		t.Errorf("without a store: %q", o.out)
	}
	if there, err := hasStore(nowhere); there || err != nil {
		t.Errorf("completing has made a store: %v", err)
	}
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		if o := durable(t, "completion", shell).want(t, exitOK); !strings.Contains(o.out, "__complete") {
			t.Errorf("completion %s = %q", shell, o.out)
		}
	}
}
