package main

import (
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// TestTypingErrorsAreToldWithWhatWasMeant has a row for each kind of word that a user can
// mistype. No row needs a store, so no command may open one.
func TestTypingErrorsAreToldWithWhatWasMeant(t *testing.T) {
	t.Setenv("XDG_STATE_HOME", t.TempDir())
	for _, c := range []struct{ line, says, hint string }{
		{"lst", `unknown command "lst"`, "did you mean durable list?"},
		{"tre x", `unknown command "tre"`, "did you mean durable tree?"},
		{"dleete x", `unknown command "dleete"`, "did you mean durable delete?"},
		{"enque x", `unknown command "enque"`, "did you mean durable enqueue?"},
		{"LIST", `unknown command "LIST"`, "did you mean durable list?"},
		{"ls", `unknown command "ls"`, "did you mean durable list?"},
		{"rm x", `unknown command "rm"`, "did you mean durable delete?"},
		{"stauts x", `unknown command "stauts"`, "did you mean durable get?"},
		{"frobnicate", `unknown command "frobnicate"`, "durable --help lists the commands"},
		{"queues puase default", `unknown command "puase"`, "did you mean durable queues pause?"},
		{"completion zhs", `unknown command "zhs"`, "did you mean durable completion zsh?"},
		{"help nope", `unknown command "nope"`, "durable --help lists the commands"},
		{"help lst", `unknown command "lst"`, "did you mean durable list?"},
		{"help queues limt", `unknown command "limt"`, "did you mean durable queues limit?"},
		{"list --stauts failed", "unknown flag: --stauts", "did you mean --status?"},
		{"list --statsu=failed", "unknown flag: --statsu", "did you mean --status?"},
		{"list -status failed", "unknown shorthand flag: 's' in -status", "did you mean --status?"},
		{"list --jsno", "unknown flag: --jsno", "did you mean --json?"},
		{"queues pause default --reson x", "unknown flag: --reson", "did you mean --reason?"},
		{"--verson", "unknown flag: --verson", "did you mean --version?"},
		{"get a --frobnicate", "unknown flag: --frobnicate", "durable get --help lists the flags"},
		{"list --status faild", `unknown --status "faild"`, "did you mean failed?"},
		{"list --status timeout", `unknown --status "timeout"`, "did you mean timed_out?"},
		{"list --status waiting", `unknown --status "waiting"`, "did you mean waiting_for_children_tasks, or waiting_for_finalize_task?"},
		{"list --status nosuch", `unknown --status "nosuch"`, "one of ready, running,"},
		{"list --time finishd", `unknown --time "finishd"`, "did you mean finished?"},
		{"list --via indx", `unknown --via "indx"`, "did you mean index?"},
		{"list --time-format utf", `unknown --time-format "utf"`, "did you mean utc?"},
		{"demo --log-level wran", `unknown --log-level "wran"`, "did you mean warn?"},
		{"bench latncy", `unknown workload "latncy"`, "did you mean latency?"},
		{"list --limit many", `--limit "many": want a whole number`, "durable list --help"},
		{"list --watch=maybe", `--watch "maybe": want true or false`, "durable list --help"},
		{"bench --rate fast", `--rate "fast": want a number`, "durable bench --help"},
		{"wait a --timeout 5", `--timeout "5": want a duration such as 90s, 1h30m or 2d`, "durable wait --help"},
		{"doctor --timeout 5", `--timeout "5": want a duration such as 90s, 1h30m or 2d`, "durable doctor --help"},
		{"completion bash x", `unknown command "x"`, "durable completion bash --help"},
		{"options x", "options takes no arguments, not 1", "usage: durable options"},
	} {
		o := durable(t, strings.Fields(c.line)...)
		if o.code != exitUsage || o.out != "" || !strings.HasPrefix(o.err, "durable: "+c.says) || !strings.Contains(o.err, "hint: "+c.hint) {
			t.Errorf("durable %s: exit code %d, stdout %q, stderr %q, want %q and hint %q", c.line, o.code, o.out, o.err, c.says, c.hint)
		}
	}
}

func TestFarWordsAreNotSuggested(t *testing.T) {
	words := []string{"get", "top", "list", "tree", "failed", "completed"}
	for typed, want := range map[string][]string{
		"x": nil, "": nil, "abc": nil, "to": {"top"}, "gte": {"get"}, "complete": {"completed"}, "FAILED": {"failed"}, "nosuch": nil,
	} {
		if got := near(typed, words); !slices.Equal(got, want) {
			t.Errorf("near(%q) = %q, want %q", typed, got, want)
		}
	}
}

// TestEveryFlagRefusesASecondValue tries all flags of all commands: no flag may silently keep the
// last of several values.
func TestEveryFlagRefusesASecondValue(t *testing.T) {
	values := map[string][2]string{
		"bool": {"true", "false"}, "int": {"1", "2"}, "int64": {"1", "2"}, "float64": {"1", "2"}, "duration": {"1s", "2s"}, "string": {"one", "two"}, "size": {"1KiB", "2KiB"},
	}
	seen := 0
	var visit func(c *cobra.Command)
	visit = func(c *cobra.Command) {
		for _, flags := range []*pflag.FlagSet{c.Flags(), c.PersistentFlags()} {
			flags.VisitAll(func(f *pflag.Flag) {
				if _, several := f.Value.(pflag.SliceValue); several {
					return
				}
				two, ok := values[f.Value.Type()]
				if !ok {
					t.Errorf("%s --%s has values of an unknown type %s", c.CommandPath(), f.Name, f.Value.Type())
				}
				if err := flags.Set(f.Name, two[0]); err != nil {
					t.Errorf("%s --%s %s: %v", c.CommandPath(), f.Name, two[0], err)
				}
				if err := flags.Set(f.Name, two[0]); err != nil {
					t.Errorf("%s --%s is given the same again: %v", c.CommandPath(), f.Name, err)
				}
				if err := flags.Set(f.Name, two[1]); err == nil {
					t.Errorf("%s --%s takes two values", c.CommandPath(), f.Name)
				}
				seen++
			})
		}
		for _, below := range c.Commands() {
			visit(below)
		}
	}
	visit((&app{}).commands())
	if seen < 80 {
		t.Errorf("tried only %d flags", seen)
	}
	o := durable(t, "list", "--password", "secret", "--password", "other").want(t, exitUsage)
	if want := "durable: --password: given twice with different values\nhint: give the flag once\n"; o.err != want {
		t.Errorf("stderr %q, want %q", o.err, want)
	}
}
