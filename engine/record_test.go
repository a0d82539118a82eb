package engine

import (
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/durable-execution/durable/codec"
)

// populated returns an execution with a value in every field. No real execution has that.
func populated() Execution {
	policy := func(n int) Policy {
		return Policy{
			Timeout: time.Duration(n) * time.Second, Delay: time.Duration(n) * time.Minute, OnChildFailure: WaitAll, Retention: time.Duration(n) * time.Hour,
			Retry: Retry{MaxRetries: n, BaseDelay: time.Duration(n) * time.Millisecond, Multiplier: 1.5, MaxDelay: time.Duration(n) * time.Hour, Jitter: 0.25},
		}
	}
	spawn := func(n int) Spawn {
		return Spawn{Task: fmt.Sprint("task-", n), Queue: fmt.Sprint("queue-", n), Policy: policy(n), Input: text(fmt.Sprint(n)), InputFrom: fmt.Sprint("te_root.1-2-", n), Validated: true, Metadata: Metadata{"n": fmt.Sprint(n)}, Sleeping: true}
	}
	finalize := spawn(3)
	finalize.Input = codec.Payload{Type: codec.MsgPack, Data: []byte{0x2a}}
	return Execution{
		ID: "te_root.1-2", Parent: "te_root.1", Index: 2, Only: true, IsFinalize: true, RetryOf: "te_before",
		Task: "task", Queue: "queue", Policy: policy(7), Input: codec.Payload{Type: codec.MsgPack, Data: []byte{0xc3}}, InputFrom: "te_root.1-1", Validated: true, Metadata: Metadata{"order": "42", "customer": "Zoë"}, Sleeping: true,
		Status: ChildrenFailed, Closed: true, Attempt: 3, Polls: 5, Crashes: 4, Executor: "executor", Message: "ready-1", Delivery: 2,
		CreatedAt: at(1), StartAt: at(2), StartedAt: at(3), ExpiresAt: at(4), ChangedAt: at(5), FinishedAt: at(6),
		Output: text("out"), Gathers: true, OutputOf: "te_root.1-2-f",
		Failure: &Failure{Kind: KindChildren, Message: "why", Stack: "main.go:1"},
		Spawned: 2, Spawns: []Spawn{spawn(1), spawn(2)}, SpawnsAt: "elsewhere",
		Sequence: 4, Steps: []Spawn{spawn(4)},
		Ended:         Set{0x03},
		ChildFailures: []ChildFailure{{Index: 1, ID: "te_root.1-2-1", Task: "task-1", Status: TimedOut, Message: "late"}},
		Finalize:      &finalize, ParentFinished: true,
		History: []Attempt{{Number: 1, Executor: "other", StartedAt: at(7), EndedAt: at(8), Failure: &Failure{Kind: KindPanic, Message: "oh", Stack: "main.go:2"}}},
		Unknown: []byte{0x81, 0xa5, 'l', 'a', 't', 'e', 'r', 0x01}, // {later: 1}
	}
}

// zeros returns the names of exported fields in v, at any depth, that are zero.
func zeros(v reflect.Value, path string) []string {
	if v.IsZero() {
		return []string{path}
	}
	var list []string
	switch v.Kind() {
	case reflect.Pointer:
		return zeros(v.Elem(), path)
	case reflect.Slice:
		if v.Len() == 0 {
			return []string{path}
		}
		if v.Type().Elem().Kind() == reflect.Struct {
			for i := range v.Len() {
				list = append(list, zeros(v.Index(i), fmt.Sprintf("%s[%d]", path, i))...)
			}
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if f := v.Type().Field(i); f.IsExported() {
				list = append(list, zeros(v.Field(i), path+"."+f.Name)...)
			}
		}
	}
	return list
}

func TestEveryFieldOfAnExecutionIsInItsRecord(t *testing.T) {
	want := populated()
	if list := zeros(reflect.ValueOf(want), "Execution"); len(list) > 0 {
		t.Errorf("populated leaves %s zero: fill them, so that a field that the record forgets is found", strings.Join(list, ", "))
	}
	data, err := EncodeRecord(want)
	if err != nil {
		t.Fatal(err)
	}
	got, err := DecodeRecord(data)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestEveryFieldOfASpawnIsInItsRecord(t *testing.T) {
	want := populated().Spawns
	data, err := EncodeSpawns(want)
	if err != nil {
		t.Fatal(err)
	}
	got, err := DecodeSpawns(data)
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
	for _, garbage := range [][]byte{nil, {0x91}, {0x01}, []byte("[]"), append(data, 0)} {
		if got, err := DecodeSpawns(garbage); err == nil {
			t.Errorf("%x: got %+v, want an error", garbage, got)
		}
	}
}

func TestExecutionsInEveryStatusComeBackFromTheirRecords(t *testing.T) {
	for name, want := range lives() {
		data, err := EncodeRecord(want)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if got, err := DecodeRecord(data); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %+v, %v, want %+v", name, got, err, want)
		}
	}
}

func TestRecordOfALaterVersionIsRefusedByItsNumber(t *testing.T) {
	data, err := codec.Marshal(map[string]any{"v": Version + 1, "executionId": "te_x", "taskId": "task", "status": "dreaming"})
	if err != nil {
		t.Fatal(err)
	}
	x, err := DecodeRecord(data)
	if want := "decode record te_x: written by a later version: version 2, this program knows up to 1"; !errors.Is(err, ErrNewer) || err.Error() != want {
		t.Errorf("error = %v, want %s", err, want)
	}
	if x.ID != "te_x" || x.Task != "task" || x.Status != "dreaming" {
		t.Errorf("execution = %+v, want the known fields", x)
	}
}

func TestFieldsOfALaterProgramAreKept(t *testing.T) {
	data, err := codec.Marshal(map[string]any{
		"v": 1, "executionId": "te_x", "taskId": "task", "queue": "queue", "status": "ready",
		"later": map[string]any{"a": []int{1}}, "policy": map[string]any{"timeoutMs": 1000},
	})
	if err != nil {
		t.Fatal(err)
	}
	x, err := DecodeRecord(data)
	if err != nil {
		t.Fatal(err)
	}
	x, _, err = Apply(x, Claimed{At: at(1), Executor: "e"})
	if err != nil {
		t.Fatal(err)
	}
	if data, err = EncodeRecord(x); err != nil {
		t.Fatal(err)
	}
	var fields map[string]any
	if err := codec.UnmarshalRecord(data, &fields); err != nil {
		t.Fatal(err)
	}
	if want := map[string]any{"a": []any{int64(1)}}; !reflect.DeepEqual(fields["later"], want) || fields["status"] != "running" {
		t.Errorf("written again: %v, want later = %v and running", fields, want)
	}
}

func TestGarbageIsNotARecord(t *testing.T) {
	good, err := EncodeRecord(populated())
	if err != nil {
		t.Fatal(err)
	}
	without := func(field string, value any) []byte {
		m := map[string]any{"v": 1, "executionId": "te_x", "taskId": "task", "queue": "queue", "status": "ready"}
		m[field] = value
		data, err := codec.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	for what, data := range map[string][]byte{
		"nothing":                   nil,
		"null":                      {0xc0},
		"an integer":                {0x01},
		"an empty map":              {0x80},
		"JSON":                      []byte(`{"v":1,"executionId":"te_x","status":"ready"}`),
		"half a record":             good[:len(good)/2],
		"a record and more":         append(good[:len(good):len(good)], 0xc0),
		"no id":                     without("executionId", ""),
		"no status":                 without("status", ""),
		"a status that there isn't": without("status", "done"),
		"a text for a number":       without("attempt", "one"),
	} {
		got, err := DecodeRecord(data)
		if !errors.Is(err, ErrDamaged) || !strings.HasPrefix(err.Error(), "decode record") {
			t.Errorf("%s: got %+v, %v, want ErrDamaged in an error that begins with decode record", what, got, err)
		}
	}
}

func TestRecordKeepsTimesAndDurationsInMilliseconds(t *testing.T) {
	x := Execution{ID: "te_x", Status: Ready, CreatedAt: t0.Add(1_999_999 * time.Nanosecond), Policy: Policy{Timeout: 2*time.Millisecond - 1}}
	data, err := EncodeRecord(x)
	if err != nil {
		t.Fatal(err)
	}
	got, err := DecodeRecord(data)
	if err != nil || !got.CreatedAt.Equal(t0.Add(time.Millisecond)) || got.Policy.Timeout != time.Millisecond {
		t.Errorf("got %s, %s, %v, want %s, 1ms", got.CreatedAt, got.Policy.Timeout, err, t0.Add(time.Millisecond))
	}
}

func TestDurationsPastTheLongestAreTheLongest(t *testing.T) {
	longest := time.Duration(codec.MaxMillis) * time.Millisecond
	for ms, want := range map[int64]time.Duration{
		math.MaxInt64: longest, codec.MaxMillis + 1: longest, codec.MaxMillis: longest, math.MinInt64: -longest, 1: time.Millisecond,
	} {
		if got := duration(ms); got != want {
			t.Errorf("%d ms = %s, want %s", ms, got, want)
		}
	}
}

func TestInputWithoutATypeStaysJSON(t *testing.T) {
	x := Execution{ID: "te_x", Status: Ready, Input: codec.Payload{Data: []byte("12")}}
	data, err := EncodeRecord(x)
	if err != nil {
		t.Fatal(err)
	}
	got, err := DecodeRecord(data)
	if err != nil {
		t.Fatal(err)
	}
	var n int
	if err := got.Input.Decode(&n); err != nil || n != 12 || got.Input.Type != codec.JSON {
		t.Errorf("got %d of %v, %v, want 12 of JSON", n, got.Input, err)
	}
}

// TestRecordsAreTheSameBytesAsEver fails if this version would read stored records in another way
// than the version that wrote them, or write other bytes for them.
func TestRecordsAreTheSameBytesAsEver(t *testing.T) {
	records := []struct {
		name string
		x    Execution
	}{
		{"small", ready(Policy{Timeout: DefaultTimeout}, claimed)},
		{"completed", ready(Policy{Timeout: DefaultTimeout}, claimed, returned)},
		{"populated", populated()},
	}
	var b strings.Builder
	for _, r := range records {
		data, err := EncodeRecord(r.x)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&b, "%s %x\n", r.name, data)
	}
	golden(t, "record.hex", []byte(b.String()))

	stored, err := os.ReadFile(filepath.Join("testdata", "record.hex"))
	if err != nil {
		t.Fatal(err)
	}
	for i, line := range strings.Split(strings.TrimSpace(string(stored)), "\n") {
		name, digits, _ := strings.Cut(line, " ")
		data, err := hex.DecodeString(digits)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := DecodeRecord(data); err != nil || !reflect.DeepEqual(got, records[i].x) {
			t.Errorf("%s: got %+v, %v, want %+v", name, got, err, records[i].x)
		}
	}
}
