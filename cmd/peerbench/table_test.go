package main

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write the golden files anew")

// measured returns a sample report.
func measured() report {
	rate := func(perSecond, client, service float64) figure {
		return figure{Count: 10, Rounds: []round{
			{Seconds: 1, PerSecond: perSecond * 2, Client: client, Service: service},
			{Seconds: 1, PerSecond: perSecond, Client: client, Service: service},
			{Seconds: 1, PerSecond: perSecond / 2, Client: client, Service: service},
		}}
	}
	waited := figure{Rounds: []round{{PerSecond: 1000}}, Latency: &quantiles{Samples: 500, P50: 0.54, P90: 1, P99: 12.345, Max: 100}}
	return report{
		Date:    "2026-11-25",
		Machine: machine{CPU: "a CPU", Cores: 2, Memory: 24, Kernel: "6.18", Go: "go1.26.8", Load: "0.10", Disk: "ext4", Sync: 0.27},
		Plan:    plan{Rounds: 3, Round: 3 * time.Second, Only: workloads},
		Lines: []line{
			{System: "durable", Level: "sync 10 ms", Settles: syncedSoon, Version: "this repository", Service: "nats-server 2.15.2",
				Figures: map[workload]figure{single: rate(21_234.5, 0.0301, 0.02), bulk: rate(1_000_000, 0.01, 0), fanOut: rate(999.96, 1.2, 0.9), sequence: rate(99.94, 0.5, 0.4), latency: waited}},
			{System: "peer", Level: "a file", Settles: "nothing is lost", Version: "v1.2.3",
				Remarks: map[workload]string{sequence: byHand, latency: byHand},
				Figures: map[workload]figure{single: rate(8, 0.15, 0), bulk: {Missing: noBulk}, fanOut: {Missing: noBulk}, sequence: rate(0.5, 12, 0), latency: waited}},
			{System: "absent", Level: "memory", Settles: "a killed server loses everything", Version: "v0.1.0",
				Remarks: map[workload]string{single: byHand},
				Figures: map[workload]figure{single: {Missing: couldNot + "it is not there"}, bulk: {Missing: couldNot + "it is not there"}, fanOut: {Missing: couldNot + "it is not there"}, sequence: {Missing: "failed: given up after 3m0s"}, latency: {Missing: couldNot + "it is not there"}}},
		},
		Troubles: []string{"build it: no"},
	}
}

func TestTables(t *testing.T) {
	dir := t.TempDir()
	var out bytes.Buffer
	markdown, jsonFile := filepath.Join(dir, "report.md"), filepath.Join(dir, "report.json")
	if err := measured().publish(&out, markdown, jsonFile); err != nil {
		t.Fatal(err)
	}
	golden(t, "report.txt", out.Bytes())
	for _, file := range []string{markdown, jsonFile} {
		got, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		golden(t, filepath.Base(file), got)
	}
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s is\n%s\nwant\n%s", name, got, want)
	}
}

func TestNumbersHaveThreeDigitsThatCount(t *testing.T) {
	for v, want := range map[float64]string{
		0: "0.000", 0.0123: "0.012", 0.99949: "0.999", 0.9996: "1.00", 9.994: "9.99", 9.996: "10.0", 99.94: "99.9",
		99.96: "100", 999.5: "1,000", 1234567: "1,234,567", 12: "12.0",
	} {
		if got := number(v); got != want {
			t.Errorf("number(%v) = %s, want %s", v, got, want)
		}
	}
}

func TestWhatCanNotBeSelectedIsSaid(t *testing.T) {
	for _, args := range [][]string{
		{"-rows", "no such peer"}, {"-rows", "("}, {"-workloads", "single,none"}, {"-rounds", "0"}, {"-count", "-1"}, {"more"},
	} {
		var out, progress bytes.Buffer
		if err := compare(t.Context(), args, &out, &progress); err == nil || out.Len() > 0 {
			t.Errorf("%q: %v, prints %q", args, err, out.String())
		}
	}
	var out, progress bytes.Buffer
	if err := compare(t.Context(), []string{"-list", "-rows", "^asynq.*always"}, &out, &progress); err != nil || out.String() != "asynq, appendfsync always\n" {
		t.Errorf("-list: %v, prints %q", err, out.String())
	}
}
