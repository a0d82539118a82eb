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
		`{"status":"faild"}`:         `status "faild" is none of`,
		`{"status":["ready","x"]}`:   `status "x" is none of`,
		`{"status":["ready",""]}`:    `status "" is none of`,
		`{"status":1}`:               "want a text or a list of texts",
		`{"status":[1]}`:             "want a text or a list of texts",
		`{"status":{"not":"ready"}}`: "want a text or a list of texts",
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
