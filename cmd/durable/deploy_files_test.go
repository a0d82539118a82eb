package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/durable-execution/durable/workers"
)

// section returns the settings of a unit. If a name occurs several times, the last one counts.
func section(t *testing.T, text string) map[string]string {
	t.Helper()
	set := map[string]string{}
	for line := range strings.Lines(text) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok && !strings.HasPrefix(name, "#") {
			set[name] = value
		}
	}
	return set
}

func TestUnitsOutlastWhatTheyStop(t *testing.T) {
	const lameDuck = 30 * time.Second
	edit(t, "nats-cluster.conf", `lame_duck_duration: "30s"`, "") // fails if the line is missing
	for unit, long := range map[string]time.Duration{"durable-executor@.service": workers.DefaultDrain, "nats-server.service": lameDuck} {
		set := section(t, edit(t, filepath.Join("systemd", unit)))
		stop, err := time.ParseDuration(set["TimeoutStopSec"] + "s")
		if err != nil || stop <= long {
			t.Errorf("%s: TimeoutStopSec %s, %v, want more than %s", unit, stop, err, long)
		}
		if set["Restart"] != "always" || set["KillSignal"] != "SIGTERM" || set["LimitNOFILE"] == "" {
			t.Errorf("%s: Restart %s, KillSignal %s, LimitNOFILE %s", unit, set["Restart"], set["KillSignal"], set["LimitNOFILE"])
		}
	}
}

// watchdog returns the lines that the unit's comment recommends for a watchdog.
func watchdog(t *testing.T) string {
	t.Helper()
	_, rest, found := strings.Cut(edit(t, "systemd/durable-executor@.service"), "\n#   [Service]\n")
	lines, _, ends := strings.Cut(rest, "\n#\n")
	if !found || !ends {
		t.Fatal("durable-executor@.service does not show the settings of a watchdog")
	}
	return "[Service]\n" + strings.ReplaceAll(lines, "#   ", "") + "\n"
}

// With Type=notify, or with a watchdog, systemd would kill a program that does not call
// NotifySystemd.
func TestUnitOfAnExecutorExpectsNothingOfItsProgram(t *testing.T) {
	set := section(t, edit(t, "systemd/durable-executor@.service"))
	if set["Type"] != "exec" || set["WatchdogSec"] != "" {
		t.Errorf("Type=%s WatchdogSec=%s, want Type=exec and no watchdog", set["Type"], set["WatchdogSec"])
	}
	set = section(t, watchdog(t))
	if set["Type"] != "notify" || len(set) != 2 {
		t.Fatalf("for a watchdog: %v, want Type=notify and WatchdogSec", set)
	}
	// NotifySystemd notifies systemd at least twice in that time, and at most once a second.
	if seconds, err := strconv.Atoi(set["WatchdogSec"]); err != nil || seconds < 10 {
		t.Errorf("WatchdogSec=%s, want at least 10: a busy machine may notify systemd only each second or later", set["WatchdogSec"])
	}
}

// systemd-analyze reports every setting that it does not know.
func TestUnitsAreUnderstoodBySystemd(t *testing.T) {
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("systemd-analyze is not here (package systemd): the units are not checked")
	}
	dir := t.TempDir()
	write(t, dir,
		"nats-server.service", edit(t, "systemd/nats-server.service", "/usr/local/bin/nats-server", "/bin/true"),
		"durable-executor@.service", edit(t, "systemd/durable-executor@.service", "ExecStart=/usr/local/bin/%i", "ExecStart=/bin/true"))
	drop := filepath.Join(dir, "durable-executor@watched.service.d")
	if err := os.Mkdir(drop, 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, drop, "override.conf", watchdog(t))
	write(t, dir, "durable-executor@watched.service", edit(t, "systemd/durable-executor@.service", "ExecStart=/usr/local/bin/%i", "ExecStart=/bin/true"))
	for _, unit := range []string{"nats-server.service", "durable-executor@.service", "durable-executor@watched.service"} {
		out, err := exec.Command(analyze, "verify", "--man=no", filepath.Join(dir, unit)).CombinedOutput()
		if err != nil || strings.Contains(string(out), unit) {
			t.Errorf("systemd-analyze verify %s: %v\n%s", unit, err, out)
		}
	}
}

// Each file begins with a comment that gives the reasons for its content.
func TestFilesOfDeployOpenWithWhy(t *testing.T) {
	root := filepath.Join(packageDir, "../../deploy")
	err := filepath.WalkDir(root, func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		if err == nil && !strings.HasPrefix(string(data), "# ") {
			t.Errorf("%s begins with %.20q", path, data)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}
