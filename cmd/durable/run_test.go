package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/spf13/cobra"
)

func TestMistakesAreToldInALineAndAHint(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("XDG_STATE_HOME", filepath.Join(dir, "state"))
	write(t, dir, "file", "")
	t.Chdir(dir)
	var transcript strings.Builder
	for _, c := range []struct {
		line string
		code int
	}{
		{"nosuch", exitUsage},
		{"lits", exitUsage},
		{"get", exitUsage},
		{"get a b", exitUsage},
		{"get a,b", exitUsage},
		{"get -x a", exitUsage},
		{"tree " + strings.Repeat("a", 129), exitUsage},
		{"cancel a.b.c", exitUsage},
		{"delete", exitUsage},
		{"delete a b.0 c", exitUsage},
		{"delete a,b", exitUsage},
		{"list x", exitUsage},
		{"list --status nosuch", exitUsage},
		{"list --task a.b", exitUsage},
		{"list --limit -1", exitUsage},
		{"list --limit x", exitUsage},
		{"list --queue a.b", exitUsage},
		{"list --parent a,b", exitUsage},
		{"list --tree a.b.c", exitUsage},
		{"list --meta order", exitUsage},
		{"list --meta a.b=c", exitUsage},
		{"list --since yesterday", exitUsage},
		{"list --until -5m", exitUsage},
		{"list --time ended", exitUsage},
		{"list --after here", exitUsage},
		{"list --via magic", exitUsage},
		{"list --watch --after 1:a", exitUsage},
		{"list --json --jsonl", exitUsage},
		{"list --time-format iso", exitUsage},
		{"enqueue a --at 2026-12-01T09:00Z --delay 1s", exitUsage},
		{"enqueue a --at tomorrow", exitUsage},
		{"enqueue a --at 2026-12-01T09:00[Europe/Nowhere]", exitUsage},
		{"enqueue a --at 1999-12-01T09:00", exitUsage},
		{"enqueue a --delay 2x", exitUsage},
		{"list --dir x --server y", exitUsage},
		{"list --server=", exitUsage},
		{"list --dir=", exitUsage},
		{"list --namespace a.b", exitUsage},
		{"version x", exitUsage},
		{"demo --slots 0", exitUsage},
		{"demo --drain -1s", exitUsage},
		{"demo --delay -1s", exitUsage},
		{"demo --delay soon", exitUsage},
		{"demo --max-size 0", exitUsage},
		{"demo --max-size 1TiB", exitUsage},
		{"demo --log-level loud", exitUsage},
		{"demo", exitUsage}, // there are no *.go or *.md files here
		{"list", exitStore},
		{"get a", exitStore},
		{"list --dir nosuch", exitStore},
		{"list --dir file", exitStore},
		{"list --server nats://127.0.0.1:1", exitStore},
		{"list --server nats://me:secret@127.0.0.1:1", exitStore},
		{"list --server http://127.0.0.1:1,:x", exitStore},
		{"demo --dir file/x file", exitStore},
		{"demo --target file/x file", exitStore},
	} {
		o := durable(t, strings.Fields(c.line)...)
		if o.code != c.code {
			t.Errorf("durable %s: exit code = %d, want %d", c.line, o.code, c.code)
		}
		if o.out != "" || strings.Count(o.err, "\n") > 2 || !strings.HasPrefix(o.err, "durable: ") {
			t.Errorf("durable %s: stdout %q, stderr %q, want a line and a hint on stderr", c.line, o.out, o.err)
		}
		transcript.WriteString("$ durable " + c.line + "\n" + o.err + "\n")
	}
	if strings.Contains(strings.ReplaceAll(transcript.String(), "$ durable list --server nats://me:secret@", ""), "secret") {
		t.Error("a password is told")
	}
	golden(t, "mistakes", scrub(transcript.String(), dir))
	if _, err := os.Stat(filepath.Join(dir, "nosuch")); err == nil {
		t.Error("a command that only looks has made a store")
	}
}

func TestHelpTellsTheExitCodes(t *testing.T) {
	help := durable(t).want(t, exitOK).out
	for _, code := range []string{"0 ", "1 ", "2 ", "3 ", "4 ", "130 "} {
		if !strings.Contains(help, "\n  "+code) {
			t.Errorf("exit code %s is not in\n%s", code, help)
		}
	}
	var fits func(c *cobra.Command)
	fits = func(c *cobra.Command) {
		words := strings.Fields(c.CommandPath())[1:]
		for line := range strings.Lines(durable(t, append(words, "--help")...).want(t, exitOK).out) {
			if n := len([]rune(strings.TrimSuffix(line, "\n"))); n > textColumns {
				t.Errorf("%s: %d columns: %s", c.CommandPath(), n, line)
			}
		}
		for _, below := range c.Commands() {
			fits(below)
		}
	}
	fits((&app{}).commands())
	for _, command := range []string{"demo", "get", "tree", "list", "cancel", "delete", "version"} {
		o := durable(t, command, "--help").want(t, exitOK)
		if !strings.Contains(o.out, "--json") || !strings.Contains(o.out, "durable options") || strings.Contains(o.out, "--tlscert") || o.err != "" {
			t.Errorf("help of %s: %s%s", command, o.out, o.err)
		}
		if same := durable(t, "help", command).want(t, exitOK); same != o {
			t.Errorf("help %s: %s%s", command, same.out, same.err)
		}
	}
	all := durable(t, "options").want(t, exitOK).out
	for _, flag := range []string{"--json", "--dir", "--server", "--namespace", "--tlscert", "--time-format"} {
		if !strings.Contains(all, flag+" ") {
			t.Errorf("durable options lacks %s:\n%s", flag, all)
		}
	}
}

func TestVersionsAreTold(t *testing.T) {
	if o := durable(t, "version").want(t, exitOK); !strings.Contains(o.out, "nats-server") {
		t.Errorf("version = %q", o.out)
	}
	for _, args := range [][]string{{"--version"}, {"--version", "--json"}} {
		want := durable(t, append([]string{"version"}, args[1:]...)...)
		if o := durable(t, args...).want(t, exitOK); o != want {
			t.Errorf("%v = %q, want %q", args, o.out, want.out)
		}
	}
	if b := jsonLines[build](t, durable(t, "version", "--json").want(t, exitOK).out); len(b) != 1 || b[0].Go == "" {
		t.Errorf("version --json = %v", b)
	}
}

func TestOutputThatGoesNowhereIsNoSuccess(t *testing.T) {
	var errs lockedBuffer
	code := run(context.Background(), []string{"version"}, streams{out: screen{Writer: full{}}, err: screen{Writer: &errs}})
	if want := "durable: write output: no space left on device\n"; code != exitIncomplete || errs.String() != want {
		t.Errorf("exit code %d, stderr %q, want %d, %q", code, errs.String(), exitIncomplete, want)
	}
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("no space left on device") }

func TestAnInterruptedLookSaysSo(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	store := t.TempDir()
	write(t, store, "jetstream/x", "") // makes the directory look like a store
	o := durableIn(ctx, screen{}, "list", "--dir", store).want(t, exitInterrupted)
	if o.err != "durable: interrupted\n" {
		t.Errorf("stderr = %q", o.err)
	}
}

func TestALostConnectionIsToldInWords(t *testing.T) {
	err := fmt.Errorf("watch: %w", nats.ErrReconnectBufExceeded)
	if got, want := told(err), "watch: the connection to the server is lost"; got != want {
		t.Errorf("told %q, want %q", got, want)
	}
}
