package engine

import (
	"reflect"
	"testing"
	"time"

	"github.com/durable-execution/durable/codec"
	"github.com/durable-execution/durable/codec/vectors"
)

// meaningOf converts MessagePack to JSON.
func meaningOf(data []byte) codec.Payload { return codec.Payload{Type: codec.MsgPack, Data: data} }

func jsonOf(text string) codec.Payload {
	return codec.Payload{Type: codec.JSON, Data: []byte(text)}
}

func packed(s string) codec.Payload {
	p, err := codec.Encode(s)
	if err != nil {
		panic(err)
	}
	return p
}

// recorded returns an execution in a status, with the fields that every record has.
func recorded(id string, s Status, change func(*Execution)) Execution {
	x := Execution{
		ID: id, Task: "greet", Queue: DefaultQueue, Status: s,
		Policy: Policy{Timeout: 5 * time.Minute}, Input: jsonOf(`{"name":"world"}`),
		CreatedAt: at(0), StartAt: at(0), ChangedAt: at(2),
	}
	if s != Ready {
		x.Executor, x.StartedAt = "host-1", at(1)
		x.History = []Attempt{{Executor: "host-1", StartedAt: at(1), EndedAt: at(2)}}
	}
	if s.Finished() {
		x.FinishedAt, x.Closed = at(2), true
	}
	change(&x)
	return x
}

// records returns a record for each status and for each feature.
func records() (names []string, list []Execution) {
	add := func(name string, x Execution) { names, list = append(names, name), append(list, x) }
	child := func(task string) Spawn {
		return Spawn{Task: task, Queue: "parts", Policy: Policy{Timeout: time.Minute}, Input: packed("in"), Validated: true}
	}
	finalize := Spawn{Task: "greet-finalize", Queue: DefaultQueue, Policy: Policy{Timeout: 5 * time.Minute}, Validated: true}
	failed := func(k FailureKind, message string) func(*Execution) {
		return func(x *Execution) {
			x.Failure = &Failure{Kind: k, Message: message}
			x.History[0].Failure = &Failure{Kind: k, Message: message}
		}
	}
	add("completed", recorded("te_1", Completed, func(x *Execution) { x.Output = jsonOf(`"hello, world"`) }))
	add("completed, MessagePack", recorded("te_2", Completed, func(x *Execution) {
		x.Input, x.Output, x.Validated = packed("world"), packed("hello, world"), true
	}))
	add("ready, after an attempt that failed", recorded("te_3", Ready, func(x *Execution) {
		x.Policy.Retry = Retry{MaxRetries: 3, BaseDelay: time.Second, Multiplier: 1.5, MaxDelay: time.Minute, Jitter: 0.25}
		x.Attempt, x.StartAt, x.StartedAt = 1, at(1002), at(1)
		x.Message, x.Delivery = "durable-ready 7", 1
		x.Failure = &Failure{Kind: KindError, Message: "try again"}
		x.History = []Attempt{{Executor: "host-1", StartedAt: at(1), EndedAt: at(2), Failure: &Failure{Kind: KindError, Message: "try again"}}}
	}))
	add("running", recorded("te_4", Running, func(x *Execution) {
		x.ExpiresAt, x.ChangedAt, x.History = at(300_001), at(1), nil
		x.Message, x.Delivery = "durable-ready 8", 1
	}))
	add("waiting for its children", recorded("te_5", WaitingForChildren, func(x *Execution) {
		x.Output, x.Spawned, x.Spawns, x.Finalize = jsonOf("1"), 2, []Spawn{child("a"), child("b")}, &finalize
		x.Ended = Set{0x02}
	}))
	add("waiting for children that are on pages", recorded("te_6", WaitingForChildren, func(x *Execution) {
		x.Spawned, x.SpawnsAt, x.Gathers, x.Output = 5000, "AbCdEfGhIjKlMnOpQrStUv.3", true, jsonOf("1")
		x.Policy.OnChildFailure = WaitAll
	}))
	add("waiting for its finalize", recorded("te_7", WaitingForFinalize, func(x *Execution) {
		x.Output, x.Spawned, x.Ended, x.Finalize = jsonOf("1"), 1, Set{0x01}, &finalize
	}))
	add("completed, the output gathered from its children", recorded("te_8", Completed, func(x *Execution) {
		x.Output, x.Gathers, x.Spawned, x.Ended = jsonOf("1"), true, 9, Set{0xff, 0x01}
	}))
	add("completed, the output that of its finalize", recorded("te_9", Completed, func(x *Execution) {
		x.OutputOf, x.Spawned, x.Ended, x.Finalize = "te_9.f", 1, Set{0x01}, &finalize
	}))
	add("a child", recorded("te_9.0", Completed, func(x *Execution) {
		x.Parent, x.Index, x.Closed, x.Output = "te_9", 0, false, packed("out")
	}))
	add("a child of a child", recorded("te_9.0-7", Completed, func(x *Execution) {
		x.Parent, x.Index, x.Closed = "te_9.0", 7, false
	}))
	add("a finalize", recorded("te_9.f", Completed, func(x *Execution) {
		x.Parent, x.IsFinalize, x.Closed, x.Input, x.Output = "te_9", true, false, codec.Payload{}, jsonOf("2")
	}))
	add("failed", recorded("te_10", Failed, failed(KindError, "no such person")))
	add("failed by a panic", recorded("te_11", Failed, func(x *Execution) {
		failed(KindPanic, "panic: oh")(x)
		x.Failure.Stack = "goroutine 1 [running]:\nmain.main()"
	}))
	add("failed, the input invalid", recorded("te_12", Failed, failed(KindInvalidInput, `invalid input of task "greet": name: is empty`)))
	add("timed out", recorded("te_13", TimedOut, failed(KindTimeout, "execution timed out after 5m0s")))
	add("a child failed", recorded("te_14", ChildrenFailed, func(x *Execution) {
		x.Spawned, x.Ended = 2, Set{0x02}
		x.Failure = &Failure{Kind: KindChildren, Message: "1 child of 2 did not complete; child 1 (b) failed: why"}
		x.ChildFailures = []ChildFailure{{Index: 1, ID: "te_14.1", Task: "b", Status: Failed, Message: "why"}}
		x.Closed = false
	}))
	add("the finalize failed", recorded("te_15", FinalizeFailed, func(x *Execution) {
		x.Spawned, x.Ended, x.Finalize = 1, Set{0x01}, &finalize
		x.Failure = &Failure{Kind: KindFinalize, Message: "finalize greet-finalize failed: why"}
	}))
	add("cancelled while ready", recorded("te_16", Cancelled, func(x *Execution) {
		x.Executor, x.StartedAt, x.History = "", time.Time{}, nil
		x.Failure = &Failure{Kind: KindCancelled, Message: "not needed"}
	}))
	add("cancelled by its finished parent", recorded("te_14.0", Cancelled, func(x *Execution) {
		failed(KindCancelled, "parent te_14: children_tasks_failed")(x)
		x.Parent, x.ParentFinished = "te_14", true
	}))
	add("asleep", recorded("te_17", Running, func(x *Execution) {
		x.Task, x.Sleeping, x.Policy.Timeout, x.ChangedAt, x.History = "approve", true, 0, at(1), nil
	}))
	add("a poll that was not done twice", recorded("te_18", Ready, func(x *Execution) {
		x.Polls, x.StartAt, x.StartedAt, x.Message, x.Delivery = 2, at(60_000), at(1), "durable-timers 9", 3
	}))
	add("a retry of another root, kept for ever", recorded("te_19", Completed, func(x *Execution) {
		x.RetryOf, x.Policy.Retention, x.Output = "te_10", Forever, jsonOf("null")
	}))
	add("kept for an hour, after two crashes", recorded("te_20", Completed, func(x *Execution) {
		x.Policy.Retention, x.Crashes = time.Hour, 2
	}))
	add("a sequence at its second step", recorded("te_21", WaitingForChildren, func(x *Execution) {
		step := child("second")
		step.Input, step.InputFrom, step.Validated = codec.Payload{}, "te_21.0", false
		third := step
		third.Task, third.InputFrom = "third", ""
		x.Sequence, x.Spawned, x.Spawns, x.Steps, x.Ended = 3, 2, []Spawn{step}, []Spawn{third}, Set{0x01}
	}))
	add("the second step of a sequence", recorded("te_21.1", Running, func(x *Execution) {
		x.Parent, x.Index, x.Only, x.Input, x.InputFrom = "te_21", 1, true, codec.Payload{}, "te_21.0"
	}))
	add("compressed and encrypted", recorded("te_22", Completed, func(x *Execution) {
		x.Input = codec.Payload{Type: "application/json; enc=gzip+aes-gcm.k1", Data: []byte{1, 2, 3}}
		x.Output = codec.Payload{Type: "application/msgpack; enc=aes-gcm.k1", Data: []byte{4, 5, 6}}
	}))
	add("input and output kept beside", recorded("te_23", Completed, func(x *Execution) {
		x.Input = codec.Payload{Type: "application/json; enc=blob", Data: []byte("9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08 2097152 4")}
		x.Output = codec.Payload{Type: "application/msgpack; enc=gzip+blob", Data: []byte("60303ae22b998861bce3b28f33eec1be758a213c86c93c076dbe9f558c11c752 600000 2")}
	}))
	add("without policy, input and output", recorded("te_24", Completed, func(x *Execution) { x.Policy, x.Input = Policy{}, codec.Payload{} }))
	add("with something in every field", withoutMetadata(populated()))
	add("with something in every field, and metadata", populated())
	return names, list
}

// withoutMetadata returns x as a program without support for metadata wrote it.
func withoutMetadata(x Execution) Execution {
	x.Metadata, x.Finalize.Metadata = nil, nil
	for i := range x.Spawns {
		x.Spawns[i].Metadata = nil
	}
	for i := range x.Steps {
		x.Steps[i].Metadata = nil
	}
	return x
}

func TestVectorsOfRecords(t *testing.T) {
	names, list := records()
	var made []vectors.Vector
	for i, x := range list {
		data, err := EncodeRecord(x)
		if err != nil {
			t.Fatal(err)
		}
		made = append(made, vectors.Vector{Name: names[i], Subject: "$KV.durable-executions." + x.ID, Meaning: vectors.Meaning(t, meaningOf(data)), Bytes: data})
	}
	file := vectors.Check(t, "records.json", "b8ced79e61bd5c8bb8092480596e903b0175441d06fa8c0bfd9117406a73ed5d", made)
	for i, want := range list {
		got, err := DecodeRecord(file[names[i]].Bytes)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %v\nread %+v\nwant %+v", names[i], err, got, want)
		}
	}
}

func TestVectorsOfControlMessages(t *testing.T) {
	var made []vectors.Vector
	read := map[string]func([]byte) (any, error){}
	want := map[string]any{}
	add := func(name, subject string, v any, data []byte, err error, decode func([]byte) (any, error)) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		made = append(made, vectors.Vector{Name: name, Subject: subject, Meaning: vectors.Meaning(t, meaningOf(data)), Bytes: data})
		read[name], want[name] = decode, v
	}
	closure := func(name string, c Closure) {
		t.Helper()
		data, err := EncodeClosure(c)
		add(name, "durable.closure."+c.Parent, c, data, err, func(b []byte) (any, error) { return DecodeClosure(b) })
	}
	cancel := func(name string, c Cancel) {
		t.Helper()
		data, err := EncodeCancel(c)
		add(name, "durable.cancel."+c.ID, c, data, err, func(b []byte) (any, error) { return DecodeCancel(b) })
	}
	closure("closure of a child", Closure{Parent: "te_1", ID: "te_1.3", Task: "a", Index: 3, Status: Completed})
	closure("closure of a child that failed", Closure{Parent: "te_1", ID: "te_1.0", Task: "a", Status: Failed, Message: "why"})
	closure("closure of a child that has maybe told before", Closure{Parent: "te_1", ID: "te_1.4", Task: "a", Index: 4, Again: true, Status: Cancelled, Message: "enough"})
	closure("closure of a finalize", Closure{Parent: "te_1", ID: "te_1.f", Task: "a-finalize", IsFinalize: true, Status: Completed, Output: jsonOf("2")})
	closure("closure of a finalize that gathers", Closure{Parent: "te_1", ID: "te_1.f", Task: "a-finalize", IsFinalize: true, Status: Completed, OutputOf: "te_1.f"})
	closure("closure of a finalize that timed out", Closure{Parent: "te_1", ID: "te_1.f", Task: "a-finalize", IsFinalize: true, Status: TimedOut, Message: "late"})
	closure("wake with an output", Closure{Parent: "te_2", IsWake: true, Status: Completed, Output: jsonOf(`{"by":"me"}`)})
	closure("wake with an output in MessagePack, by who knows the task", Closure{Parent: "te_2", Task: "approve", IsWake: true, Status: Completed, Output: packed("yes")})
	closure("wake with an error", Closure{Parent: "te_2", IsWake: true, Status: Failed, Message: "refused"})
	cancel("cancellation", Cancel{ID: "te_3", At: at(5), Reason: "not needed"})
	cancel("cancellation of one life of an id", Cancel{ID: "order-42", At: at(5), Reason: "not needed", Born: at(1)})
	cancel("cancellation by a finished parent", Cancel{ID: "te_4.1-f", At: at(5), Reason: "parent te_4.1: failed", Parent: "te_4.1"})
	file := vectors.Check(t, "control.json", "b81cbe9bcf3fb173aa815da8198498ec6efa1523f167020415a75628d67dfa4a", made)
	for name, decode := range read {
		if got, err := decode(file[name].Bytes); err != nil || !reflect.DeepEqual(got, want[name]) {
			t.Errorf("%s: %v\nread %+v\nwant %+v", name, err, got, want[name])
		}
	}
}

func TestVectorsOfPages(t *testing.T) {
	list := []Spawn{
		{Task: "a", Queue: "parts", Policy: Policy{Timeout: time.Minute, Retry: Retry{MaxRetries: 2}}, Input: packed("in"), Validated: true},
		{Task: "b", Queue: DefaultQueue, Input: jsonOf(`{"a":1}`), Validated: true, Policy: Policy{Delay: time.Second}},
		{Task: "c", Queue: DefaultQueue, Sleeping: true, Validated: true, Input: codec.Payload{Type: "application/msgpack; enc=aes-gcm.k1", Data: []byte{1}}},
	}
	data, err := EncodeSpawns(list)
	if err != nil {
		t.Fatal(err)
	}
	file := vectors.Check(t, "pages.json", "c841dbc7f8ad121bdea5cd344fa6942af9cf5ffd034a331cb63742f1b6a1d764", []vectors.Vector{{
		Name: "a page of children to spawn", Subject: "$KV.durable-executions.te_1.=AbCdEfGhIjKlMnOpQrStUv.0",
		Meaning: vectors.Meaning(t, meaningOf(data)), Bytes: data,
	}})
	got, err := DecodeSpawns(file["a page of children to spawn"].Bytes)
	if err != nil || !reflect.DeepEqual(got, list) {
		t.Errorf("%v\nread %+v\nwant %+v", err, got, list)
	}
}

func TestVectorsOfIDs(t *testing.T) {
	var made []vectors.Vector
	add := func(parent, step, id string) {
		made = append(made, vectors.Vector{Name: parent + ", " + step, Bytes: vectors.Hex(id),
			Meaning: vectors.Meaning(t, map[string]string{"parentId": parent, "step": step, "executionId": id})})
	}
	deep := "te_1.0"
	for _, parent := range []string{"te_1", "te_1.0", "order-42.f", "a.10-20-30-40-50-60-70-80-90-100-110-12", "a.10-20-30-40-50-60-70-80-90-100-110-120"} {
		add(parent, "7", childID(parent, 7))
		add(parent, "1234567", childID(parent, 1234567))
		add(parent, "f", finalizeID(parent))
	}
	for range 30 {
		deep = childID(deep, 1)
	}
	add(deep, "1", childID(deep, 1))
	vectors.Check(t, "ids.json", "ef3634a67bc2004ada351f5bedf0a0d7415dc0eceda7157800e6bbaf59271393", made)
}
