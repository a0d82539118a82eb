package api

import (
	"slices"
	"strings"
	"testing"

	"github.com/durable-execution/durable/engine"
)

func TestAListTakesOneStatusOrSeveral(t *testing.T) {
	for body, want := range map[string][]engine.Status{
		`{}`:                              nil,
		`{"status":""}`:                   nil,
		`{"status":null}`:                 nil,
		`{"status":[]}`:                   nil,
		`{"status":"failed"}`:             {engine.Failed},
		`{"status":["failed"]}`:           {engine.Failed},
		`{"status":["failed","running"]}`: {engine.Failed, engine.Running},
	} {
		var q listRequest
		if err := unmarshal([]byte(body), &q); err != nil {
			t.Errorf("%s: %v", body, err)
			continue
		}
		f, err := q.filter()
		if err != nil || !slices.Equal(f.Statuses, want) || f.Status != "" {
			t.Errorf("%s selects %v (%v), want %v", body, f.Statuses, err, want)
		}
	}
	for body, says := range map[string]string{
		`{"status":"faild"}`:         `unknown status "faild": want one of`,
		`{"status":["ready","x"]}`:   `unknown status "x": want one of`,
		`{"status":["ready",""]}`:    `unknown status "": want one of`,
		`{"status":1}`:               "want a string or a list of strings",
		`{"status":[1]}`:             "want a string or a list of strings",
		`{"status":{"not":"ready"}}`: "want a string or a list of strings",
	} {
		var q listRequest
		err := unmarshal([]byte(body), &q)
		if err == nil {
			_, err = q.filter()
		}
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v, want %q", body, err, says)
		}
	}
}
