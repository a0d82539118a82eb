package history_test

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/durable-execution/durable/codec"
	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/engine/history"
)

func TestAHistoryComesBackAsItWasWritten(t *testing.T) {
	path := filepath.Join(t.TempDir(), "h.jsonl")
	l, err := history.Append(path, "client")
	check(t, err)
	x := engine.Execution{
		ID: "r", Task: "t", Status: engine.ChildrenFailed, Spawned: 3, Ended: engine.Set{5}, Closed: true,
		Output: codec.Payload{Type: codec.JSON, Data: []byte("1")}, FinishedAt: sec(3),
		Failure: &engine.Failure{Kind: engine.KindChildren, Message: "1 child"},
		History: []engine.Attempt{{Number: 1, Executor: "a"}},
	}
	for _, e := range []history.Event{
		{Kind: history.Setting, Settings: &history.Settings{Name: "n", Seed: 7, Lease: time.Second}},
		{Kind: history.Began, Execution: "r", At: sec(2)},
		{Kind: history.Accepted, Execution: "r", At: sec(1)},
		{Kind: history.Final, Execution: "r", Record: &x},
		{Kind: history.Leftover, Text: "durable.ready.x"},
	} {
		check(t, l.Add(e))
	}
	check(t, l.Close())
	h, err := history.Open(path)
	check(t, err)
	if len(h.Events) != 2 || h.Events[0].Kind != history.Accepted || h.Events[1].Process != "client" {
		t.Errorf("events = %+v, want them in the order of their times", h.Events)
	}
	if h.Seed != 7 || h.Lease != time.Second || len(h.Left) != 1 || !h.Ended {
		t.Errorf("history = %+v", h)
	}
	if len(h.Records) != 1 || fmt.Sprint(h.Records[0]) != fmt.Sprint(x) {
		t.Errorf("record = %+v, want %+v", h.Records, x)
	}
}

func TestLinesOfManyLogsStayWhole(t *testing.T) {
	path := filepath.Join(t.TempDir(), "h.jsonl")
	var all sync.WaitGroup
	for p := range 8 {
		all.Go(func() {
			l, err := history.Append(path, fmt.Sprint("p", p))
			if err != nil {
				t.Error(err)
				return
			}
			defer l.Close()
			for i := range 200 {
				if err := l.Add(history.Event{Kind: history.Note, Text: strings.Repeat("x", i)}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	h, err := history.Open(path)
	check(t, err)
	if len(h.Events) != 1600 {
		t.Errorf("%d events, want 1600", len(h.Events))
	}
}

func TestOnlyTheLastLineMayLackItsEnd(t *testing.T) {
	good := `{"at":"2026-11-01T12:00:00Z","kind":"note"}` + "\n"
	if h, err := history.Read(strings.NewReader(good + `{"at":"20`)); err != nil || len(h.Events) != 1 {
		t.Errorf("%d events, %v, want 1", len(h.Events), err)
	}
	for _, bad := range []string{"rubbish\n", "{}\n", "null\n", "[1]\n", `{"at":"2026-11-01T12:00:00Z"}` + "\n"} {
		if _, err := history.Read(strings.NewReader(good + bad + good)); err == nil || !strings.Contains(err.Error(), "line 2") {
			t.Errorf("%q: %v, want an error of line 2", bad, err)
		}
	}
	if _, err := history.Open(filepath.Join(t.TempDir(), "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
