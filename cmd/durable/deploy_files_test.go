package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/durable-execution/durable/workers"
)

// section reads the settings of a unit, the last of each name.
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
	edit(t, "nats-cluster.conf", `lame_duck_duration: "30s"`, "") // fails where it is not there
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

// systemd-analyze knows every setting, and says so of those that it doesn't.
func TestUnitsAreUnderstoodBySystemd(t *testing.T) {
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("systemd-analyze is not here (package systemd): the units are not checked")
	}
	dir := t.TempDir()
	write(t, dir,
		"nats-server.service", edit(t, "systemd/nats-server.service", "/usr/local/bin/nats-server", "/bin/true"),
		"durable-executor@.service", edit(t, "systemd/durable-executor@.service", "ExecStart=/usr/local/bin/%i", "ExecStart=/bin/true"))
	for _, unit := range []string{"nats-server.service", "durable-executor@.service"} {
		out, err := exec.Command(analyze, "verify", "--man=no", filepath.Join(dir, unit)).CombinedOutput()
		if err != nil || strings.Contains(string(out), unit) {
			t.Errorf("systemd-analyze verify %s: %v\n%s", unit, err, out)
		}
	}
}

// Each file opens with why it is as it is.
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
