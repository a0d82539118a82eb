package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// The test binary itself also is the nats-server that the tests start: see natsServer.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && (os.Args[1] == natsCommand || os.Args[1] == measureCommand) {
		if err := command(context.Background(), os.Args[1:]); err != nil {
			println(err.Error())
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func TestEveryRowRunsItsWorkloads(t *testing.T) {
	if testing.Short() {
		t.Skip("starts databases")
	}
	for _, r := range rows {
		t.Run(r.name(), func(t *testing.T) {
			dir := serviceDir(t)
			s, err := r.service(t.Context(), dir)
			var lacking notInstalled
			if errors.As(err, &lacking) {
				t.Skip(lacking)
			}
			if err != nil {
				t.Fatal(err)
			}
			for _, w := range workloads {
				if _, ok := r.Without[w]; ok {
					continue
				}
				o := order{Row: r.name(), Workload: w, Service: s, Plan: plan{Rounds: 1, Count: 10, Limit: 2 * time.Minute}}
				f, err := measureApart(t.Context(), o, t.Output())
				if err != nil {
					t.Errorf("%s: %v", w, err)
				} else if f.Missing != "" || len(f.Rounds) != 1 || f.Rounds[0].PerSecond <= 0 {
					t.Errorf("%s: %+v", w, f)
				}
			}
			if err := s.stop(); err != nil {
				t.Error(err)
			}
			if t.Failed() {
				logs, _ := filepath.Glob(filepath.Join(dir, "*.log"))
				for _, log := range logs {
					t.Logf("%s: %s", filepath.Base(log), tail(log))
				}
			}
			for _, pid := range s.Pids {
				if state(pid) != "" {
					t.Errorf("process %d is still there", pid)
				}
			}
		})
	}
}

// serviceDir returns a directory that other users than root may enter, unlike the directories of
// t.TempDir.
func serviceDir(t *testing.T) string {
	dir, err := os.MkdirTemp("", "peerbench")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func TestRowsHaveNamesOfTheirOwnAndSayAllThatTheyLack(t *testing.T) {
	seen := map[string]bool{}
	for _, r := range rows {
		if seen[r.name()] {
			t.Errorf("two rows are called %q", r.name())
		}
		seen[r.name()] = true
		if r.Settles == "" || r.Module == "" || r.service == nil || r.open == nil {
			t.Errorf("%s: something is not said", r.name())
		}
	}
}

func TestServiceThatEndsAtOnceSaysWhatItPrinted(t *testing.T) {
	log := serviceDir(t) + "/log"
	pid, stop, err := start(log, nil, 15, "/bin/sh", "-c", "echo no such luck; exit 3")
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	err = ready(t.Context(), pid, log, listening("127.0.0.1:1"))
	if err == nil {
		t.Fatal("it is ready")
	}
	for _, want := range []string{"it has ended", "no such luck"} {
		if !contains(err, want) {
			t.Errorf("error %q does not say %q", err, want)
		}
	}
}
