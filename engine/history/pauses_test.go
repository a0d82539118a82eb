package history_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/durable-execution/durable/engine/history"
)

func TestPauseLastsUntilTheNextAttempt(t *testing.T) {
	h := history.History{Events: []history.Event{
		{At: sec(0), Kind: history.Accepted, Execution: "r"},
		{At: sec(1), Kind: history.Began, Execution: "r"},
		{At: sec(1.5), Kind: history.Began, Execution: "r.0"}, // the history does not say when it became due
		{At: sec(2), Kind: history.Left, Execution: "r"},
		{At: sec(5), Kind: history.Began, Execution: "r"},
		{At: sec(6), Kind: history.Left, Execution: "r"},
	}}
	var got []string
	for _, p := range h.Pauses() {
		got = append(got, fmt.Sprint(p.Execution, p.For()))
	}
	if want := fmt.Sprint([]string{"r" + time.Second.String(), "r" + (3 * time.Second).String()}); fmt.Sprint(got) != want {
		t.Errorf("pauses = %v, want %v", got, want)
	}
}
