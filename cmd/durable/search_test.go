package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/jsstore"
	"github.com/durable-execution/durable/jsstore/embedded"
)

// shelf creates a store of executions with fixed times: trees, failures, some queued executions
// and a delayed one.
func shelf(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	s, err := embedded.Open(t.Context(), embedded.Config{Dir: dir, Store: jsstore.Config{Retention: engine.Forever}})
	if err != nil {
		t.Fatal(err)
	}
	stock(t, s.Store)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return dir
}

func noon(minutes int) time.Time {
	return time.Date(2024, 11, 23, 12, minutes, 0, 0, time.UTC)
}

func stock(t *testing.T, s *jsstore.Store) {
	t.Helper()
	put := func(x engine.Execution, events ...engine.Event) engine.Execution {
		t.Helper()
		for _, ev := range events {
			var err error
			if x, _, err = engine.Apply(x, ev); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := s.Update(t.Context(), x, 0); err != nil {
			t.Fatal(err)
		}
		return x
	}
	ready := func(id, task string, minute int, m engine.Metadata) engine.Execution {
		at := noon(minute)
		return engine.Execution{ID: id, Task: task, Queue: "default", Status: engine.Ready, CreatedAt: at, StartAt: at, ChangedAt: at, Metadata: m}
	}
	for i := range 4 {
		m := 10 * i
		claimed := engine.Claimed{At: noon(m + 1), Executor: "e"}
		p := put(ready(fmt.Sprintf("order-%d", i), "order", m, engine.Metadata{"order": fmt.Sprint(40 + i), "team": "blue"}),
			claimed, engine.Returned{At: noon(m + 2), Children: []engine.Spawn{{Task: "pay", Queue: "money"}, {Task: "ship", Queue: "default"}}})
		pay, ship := p.Child(0, p.Spawns[0]), p.Child(1, p.Spawns[1])
		put(pay, engine.Claimed{At: noon(m + 3), Executor: "e"}, engine.Erred{At: noon(m + 4), Final: true,
			Failure: engine.Failure{Kind: engine.KindError, Message: fmt.Sprintf("card %d REFUSED by 100%% of \"banks\"", i)}})
		put(ship, engine.Claimed{At: noon(m + 3), Executor: "e"}, engine.Returned{At: noon(m + 5)})
	}
	late := ready("mail-late", "mail", 50, nil)
	late.Policy.Delay, late.StartAt = time.Hour, late.CreatedAt.Add(time.Hour)
	for _, x := range []engine.Execution{ready("mail-1", "mail", 48, engine.Metadata{"team": "red"}), ready("mail-2", "mail", 49, nil), late} {
		if err := s.Enqueue(t.Context(), engine.Due{Execution: x, Exclusive: true}); err != nil {
			t.Fatal(err)
		}
	}
}

var searches = []string{
	"--limit 3 --all",
	"--limit 3 --after 1732363920000:order-1.0 --all",
	"--after 1732363200000:order-0 --all",
	"--task pay",
	"--status ready",
	"--status failed --queue money --limit 2 --all",
	"--queue nosuch --all",
	"--limit 2",
	"--status failed,ready --all",
	"--status failed --status completed --status timed_out --status cancelled --queue money --limit 3 --all",
	"--failed --all",
	"--active",
	"--finished --all --task ship --limit 1",
	"--failed --active --meta team=red",
	"--parent order-1 --failed",
	"--prefix order-2.",
	"--tree order-1 --roots",
	"--parent order-1",
	"--tree order-2.0",
	"--prefix mail",
	"--roots --limit 0",
	"--error refused --since 2024-11-23T12:20 --until 2024-11-23T12:30 --all",
	"--error 2\\ re --all",
	"--error 0% --meta order=41 --all",
	"--meta team=blue --meta order=42",
	"--meta team=red",
	"--since 2024-11-23T12:48:00Z",
	"--time finished --until 2024-11-23T12:06 --all",
	"--time started --since 2024-11-23T12:33 --task ship",
}

// words splits a line like a shell that supports only the backslash.
func words(line string) []string {
	const space = "\x00"
	list := strings.Fields(strings.ReplaceAll(line, `\ `, space))
	for i, w := range list {
		list[i] = strings.ReplaceAll(w, space, " ")
	}
	return list
}

func TestSearchingByScanAndByIndexIsTheSame(t *testing.T) {
	dir := shelf(t)
	var all strings.Builder
	for _, line := range searches {
		args := append([]string{"list", "--dir", dir}, words(line)...)
		scanned := durable(t, append(args, "--via", "scan")...).want(t, exitOK)
		indexed := durable(t, append(args, "--via", "index")...).want(t, exitOK)
		if scanned.out != indexed.out || scanned.err != "" {
			t.Errorf("%s\nby a scan:\n%s%s\nby the index:\n%s%s", line, scanned.out, scanned.err, indexed.out, indexed.err)
		}
		fmt.Fprintf(&all, "$ durable list %s\n%s\n", line, scrub(strings.ReplaceAll(scanned.out, dir, "STORE"), dir))
		if a, b := durable(t, append(args, "--json", "--via", "scan")...), durable(t, append(args, "--json", "--via", "index")...); a.out != b.out {
			t.Errorf("%s --json\nby a scan:\n%s\nby the index:\n%s", line, a.out, b.out)
		}
	}
	golden(t, "search", all.String())
	golden(t, "search-json", durable(t, "list", "--dir", dir, "--json", "--prefix", "order", "--roots", "--limit", "2").want(t, exitOK).out)
	if _, err := os.Stat(filepath.Join(dir, "index", "durable.db")); err != nil {
		t.Error(err)
	}
}

func TestPagesFollowEachOther(t *testing.T) {
	dir := shelf(t)
	for _, via := range []string{"scan", "index"} {
		var got []string
		after := ""
		for range 20 {
			lines := jsonLines[view](t, durable(t, "list", "--dir", dir, "--all", "--jsonl", "--limit", "4", "--after", after, "--via", via).want(t, exitOK).out)
			if len(lines) == 0 {
				break
			}
			for _, v := range lines {
				got = append(got, v.ID)
			}
			last := lines[len(lines)-1]
			after = fmt.Sprintf("%d:%s", last.CreatedAt, last.ID)
		}
		var want []string
		for _, v := range jsonLines[view](t, durable(t, "list", "--dir", dir, "--all", "--jsonl", "--limit", "0").want(t, exitOK).out) {
			want = append(want, v.ID)
		}
		if strings.Join(got, " ") != strings.Join(want, " ") || len(want) != 15 {
			t.Errorf("by %s the pages list\n%v, want\n%v", via, got, want)
		}
	}
}

func TestAStoreThatIsNotLargeIsSearchedWithoutAnIndex(t *testing.T) {
	dir := shelf(t)
	durable(t, "list", "--dir", dir).want(t, exitOK)
	if _, err := os.Stat(filepath.Join(dir, "index")); !os.IsNotExist(err) {
		t.Errorf("an index was made: %v", err)
	}
}

func TestAnIndexThatCannotBeWrittenIsDoneWithout(t *testing.T) {
	dir := shelf(t)
	write(t, dir, "index/durable.db/x", "") // a directory in place of the index
	o := durable(t, "list", "--all", "--dir", dir, "--limit", "1").want(t, exitOK)
	if !strings.Contains(o.out, "1 of 15 executions") || !strings.HasPrefix(o.err, "note: can't use the index, reading the whole store: ") {
		t.Errorf("out = %q, err = %q", o.out, o.err)
	}
	o = durable(t, "list", "--dir", dir, "--via", "index").want(t, exitStore)
	if !strings.Contains(o.err, "hint: --via scan reads the whole store instead") {
		t.Errorf("stderr = %q", o.err)
	}
}

func TestTheIndexSaysThatItIsBuilt(t *testing.T) {
	dir := shelf(t)
	o := durableIn(t.Context(), screen{terminal: true, columns: 80}, "list", "--dir", dir, "--via", "index", "--limit", "1").want(t, exitOK)
	if !strings.Contains(o.out, "mail-late") {
		t.Errorf("out = %q", o.out)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	durableIn(ctx, screen{}, "list", "--dir", dir, "--via", "index").want(t, exitInterrupted)
}

func TestTimesAreToldAsTimesOrAsSoLongAgo(t *testing.T) {
	now := time.Date(2026, 11, 25, 10, 30, 0, 0, time.UTC)
	for text, want := range map[string]time.Time{
		"":                                {},
		"90s":                             now.Add(-90 * time.Second),
		"2h30m":                           now.Add(-150 * time.Minute),
		"7d":                              now.AddDate(0, 0, -7),
		"1w2d12h":                         now.Add(-228 * time.Hour),
		"2026-11-24":                      time.Date(2026, 11, 24, 0, 0, 0, 0, time.Local),
		"2026-11-24T08:15":                time.Date(2026, 11, 24, 8, 15, 0, 0, time.Local),
		"2026-11-24 08:15:30":             time.Date(2026, 11, 24, 8, 15, 30, 0, time.Local),
		"2026-11-24T08:15:30+02:00":       time.Date(2026, 11, 24, 6, 15, 30, 0, time.UTC),
		"2026-11-24T08:15[Europe/Berlin]": time.Date(2026, 11, 24, 7, 15, 0, 0, time.UTC),
	} {
		if got, err := parsePast(text, now); err != nil || !got.Equal(want) {
			t.Errorf("%q = %s, %v, want %s", text, got, err, want)
		}
	}
	for _, text := range []string{"yesterday", "-5m", "5", "d", "-3d", "2026-13-01"} {
		if got, err := parsePast(text, now); err == nil {
			t.Errorf("%q = %s, want an error", text, got)
		}
	}
}

func TestMetadataIsShown(t *testing.T) {
	dir := shelf(t)
	var all strings.Builder
	for _, line := range []string{"get order-1", "tree mail-1", "get mail-1 --json"} {
		o := durable(t, append(words(line), "--dir", dir)...).want(t, exitOK)
		fmt.Fprintf(&all, "$ durable %s\n%s\n", line, scrub(o.out, dir))
	}
	golden(t, "metadata", all.String())
}

func TestWhatIsEnqueuedWithMetadataIsFoundByIt(t *testing.T) {
	dir := working(t)
	in := func(stdin, line string) outcome {
		t.Helper()
		return typing(t.Context(), stdin, append(words(line), "--dir", dir)...)
	}
	in("", `enqueue greet {"name":"x"} --id now --meta order=42 --meta customer=Zoë\ =\ 1 --wait`).want(t, exitOK)
	in("", `enqueue greet {"name":"x"} --id later --delay 1h --meta order=43 --meta customer=Zoë\ =\ 1`).want(t, exitOK)
	in("{\"name\":\"1\"}\n{\"name\":\"2\"}", `enqueue greet --lines --meta order=44`).want(t, exitOK)
	for _, via := range []string{"scan", "index"} {
		for filter, want := range map[string]int{
			"--meta order=42": 1, "--meta order=43": 1, "--meta order=44": 2, "--meta order=45": 0, "--meta Order=42": 0,
			`--meta customer=Zoë\ =\ 1`: 2, `--meta customer=Zoë\ =\ 1 --status ready`: 1, `--meta customer=Zoë\ =\ 1 --meta order=42`: 1,
		} {
			got := jsonLines[view](t, in("", "list --jsonl --via "+via+" "+filter).want(t, exitOK).out)
			if len(got) != want {
				t.Errorf("list %s by %s: %d executions, want %d", filter, via, len(got), want)
			}
		}
	}
	for line, want := range map[string]string{
		"order":                         `--meta "order": want KEY=VALUE`,
		"order=":                        "metadata order: the value is empty",
		"a.b=c":                         `metadata key "a.b"`,
		"order=42 --meta order=43":      "--meta order=43 contradicts --meta order=42",
		"k=" + strings.Repeat("x", 257): "the value has 257 bytes, at most 256",
	} {
		o := in("", `enqueue greet {"name":"x"} --id bad --meta `+line).want(t, exitUsage)
		if !strings.Contains(o.err, want) {
			t.Errorf("--meta %s: %s, want %s", line, o.err, want)
		}
	}
}

func TestEachWayToANamespaceHasAnIndexOfItsOwn(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	path := func(p place) string {
		t.Helper()
		path, err := (&app{place: p}).indexPath()
		if err != nil {
			t.Fatal(err)
		}
		return path
	}
	of := func(l login) place { return place{server: "nats://somewhere", namespace: "durable", login: l} }
	seen := map[string]login{}
	for _, l := range []login{{}, {user: "a", password: "x"}, {user: "b", password: "x"}, {context: "a"}, {domain: "a"}, {prefix: "a"}, {creds: "a"}} {
		at := path(of(l))
		if other, is := seen[at]; is {
			t.Errorf("%+v has the index of %+v", l, other)
		}
		seen[at] = l
	}
	if path(of(login{user: "a", password: "y"})) != path(of(login{user: "a", password: "x"})) {
		t.Error("with another password there is another index")
	}
}
