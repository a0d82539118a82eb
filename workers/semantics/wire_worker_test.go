package semantics_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/vmihailenco/msgpack/v5"
)

// A wireWorker is an executor written from "An executor, step by step" in codec/WIRE.md,
// with a NATS client and MessagePack, and without any code of this module. Its inputs and outputs
// are strings in JSON.
type wireWorker struct {
	nc    *nats.Conn
	name  string
	queue string
	// lease and retention are settings of the namespace.
	lease, retention time.Duration
	tasks            map[string]wireTask
	// dies makes the worker vanish once it has claimed an execution.
	dies bool

	mu      sync.Mutex
	running map[string]context.CancelCauseFunc
}

type wireTask func(ctx context.Context, input string, attempt int) (string, error)

type fields = map[string]any

var errWireCancel = errors.New("cancelled")

// work handles executions, two at a time, until ctx ends or the worker dies.
func (w *wireWorker) work(ctx context.Context) error {
	w.running = map[string]context.CancelCauseFunc{}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	roll, err := w.nc.Subscribe("durable.executor.roll", w.answerRoll)
	if err != nil {
		return err
	}
	defer func() { _ = roll.Unsubscribe() }()
	cancels, err := w.nc.Subscribe("durable.cancel.>", w.hearCancel)
	if err != nil {
		return err
	}
	defer func() { _ = cancels.Unsubscribe() }()
	errs := make(chan error, 2)
	for _, stream := range []string{"durable-ready", "durable-timers"} {
		go func() {
			errs <- w.pull(ctx, stream)
			stop()
		}()
	}
	return errors.Join(<-errs, <-errs)
}

// answerRoll answers a roll call with the worker's tasks: step 1.
func (w *wireWorker) answerRoll(m *nats.Msg) {
	tasks := []fields{}
	for id := range w.tasks {
		tasks = append(tasks, fields{"taskId": id, "queue": w.queue})
	}
	now := time.Now().UnixMilli()
	data, _ := json.Marshal(fields{"executor": w.name, "recordVersion": 1, "startedAt": now, "now": now,
		"queues": fields{w.queue: 1}, "tasks": tasks, "slots": 2})
	_ = m.Respond(data)
}

func (w *wireWorker) hearCancel(m *nats.Msg) {
	var c fields
	if msgpack.Unmarshal(m.Data, &c) != nil {
		return
	}
	id, _ := c["executionId"].(string)
	w.mu.Lock()
	defer w.mu.Unlock()
	if end := w.running[id]; end != nil {
		end(fmt.Errorf("%w: %v", errWireCancel, c["reason"]))
	}
}

// pull handles one message after the other: step 2.
func (w *wireWorker) pull(ctx context.Context, stream string) error {
	sub, err := w.nc.SubscribeSync(w.nc.NewInbox())
	if err != nil {
		return err
	}
	defer func() { _ = sub.Unsubscribe() }()
	for ctx.Err() == nil {
		ask := `{"batch":1,"expires":10000000000}`
		if err := w.nc.PublishRequest("$JS.API.CONSUMER.MSG.NEXT."+stream+".queue-"+w.queue, sub.Subject, []byte(ask)); err != nil {
			return err
		}
		m, err := sub.NextMsgWithContext(ctx)
		if err != nil {
			break
		}
		if m.Reply == "" {
			continue // a status message: the pull has ended
		}
		if done, err := w.take(ctx, m); err != nil || done {
			return err
		}
	}
	return nil
}

// A wireDelivery is a message and the fields of its subjects.
type wireDelivery struct {
	*nats.Msg
	queue, task, id string
	claimedBy       string
	deliveries      int64
}

// take handles one message, and reports whether the worker has died.
func (w *wireWorker) take(ctx context.Context, m *nats.Msg) (died bool, err error) {
	subject := strings.SplitN(m.Subject, ".", 5)
	token := strings.Split(m.Reply, ".")
	d := wireDelivery{Msg: m, queue: subject[2], task: subject[3], id: subject[4], claimedBy: token[2] + " " + token[5], deliveries: number(token[4])}
	if !w.dies {
		defer w.renew(m)()
	}
	for {
		x, revision, err := w.look(d)
		if err != nil || x == nil {
			return false, err
		}
		revision, claimed, err := w.claim(d, x, revision)
		if err != nil || w.dies {
			return w.dies, err
		}
		if claimed {
			return false, w.run(ctx, d, x, revision)
		}
	}
}

// renew extends the lease of a message until stop is called: step 3.
func (w *wireWorker) renew(m *nats.Msg) (stop func()) {
	done := make(chan struct{})
	go func() {
		for {
			select {
			case <-time.After(w.lease / 3):
				_ = m.Respond([]byte("+WPI"))
			case <-done:
				return
			}
		}
	}()
	return func() { close(done) }
}

// look returns the record to claim and its revision: step 4. Without a record, it has handled the
// message.
func (w *wireWorker) look(d wireDelivery) (x fields, revision int64, err error) {
	x, revision, err = w.record(d.id)
	if err != nil {
		return nil, 0, err
	}
	if x == nil {
		if d.Header.Get("Durable-Hint") == "1" {
			return nil, 0, d.Respond([]byte("+ACK"))
		}
		x = fresh(d)
	}
	by, _ := x["claimedBy"].(string)
	switch status := x["status"]; {
	case number(x["finishedAt"]) > 0:
		return nil, 0, w.tell(d, x)
	case w.tasks[d.task] == nil || x["sleeping"] == true:
		delay := 0.1e9
		for i := int64(2); i < d.deliveries; i++ {
			delay = min(1.5*delay, 30e9)
		}
		return nil, 0, d.Respond(fmt.Appendf(nil, `-NAK {"delay":%d}`, int64(delay)))
	case by == d.claimedBy && number(x["claimedDelivery"]) > d.deliveries, w.isRunning(d.id):
		return nil, 0, nil
	case status == "running" && by != d.claimedBy, status != "ready" && status != "running":
		return nil, 0, d.Respond([]byte("+ACK"))
	case status == "running":
		x["crashes"] = number(x["crashes"]) + 1
		if number(x["crashes"]) > 10 {
			return nil, 0, w.end(d, x, revision, "failed", fields{"kind": "expired", "message": "lost its executor too often"})
		}
	case number(x["startAt"]) > time.Now().UnixMilli():
		return nil, 0, w.later(d, x)
	}
	return x, revision, nil
}

// fresh returns the first record of an execution that has no record yet.
func fresh(d wireDelivery) fields {
	now := time.Now().UnixMilli()
	x := fields{"v": 1, "executionId": d.id, "taskId": d.task, "queue": d.queue, "createdAt": now, "status": "ready"}
	if len(d.Data) > 0 && d.Data[0] == 0xc1 {
		var said fields
		_ = msgpack.Unmarshal(d.Data[1:], &said)
		maps.Copy(x, said)
		if delay := number(policy(x, "sleepMsBeforeRun")); delay > 0 {
			x["startAt"] = number(x["createdAt"]) + delay
		}
		return x
	}
	x["input"], x["inputType"] = d.Data, "application/json"
	x["policy"] = fields{"maxRetries": number(d.Header.Get("Durable-Retries")), "baseDelayMs": number(d.Header.Get("Durable-Base-Delay")),
		"timeoutMs": number(d.Header.Get("Durable-Timeout"))}
	if text := d.Header.Get("Durable-Retention"); text != "" {
		x["policy"].(fields)["retentionMs"] = number(text)
	}
	if delay := number(d.Header.Get("Durable-Delay")); delay > 0 {
		x["startAt"] = now + delay
	}
	return x
}

// claim records that this worker runs the attempt: step 5.
func (w *wireWorker) claim(d wireDelivery, x fields, over int64) (revision int64, ok bool, err error) {
	now := time.Now().UnixMilli()
	x["status"], x["executor"], x["startedAt"], x["changedAt"] = "running", w.name, now, now
	x["claimedBy"], x["claimedDelivery"] = d.claimedBy, d.deliveries
	if ms := number(policy(x, "timeoutMs")); ms > 0 {
		x["expiresAt"] = now + ms
	}
	return w.write(x, over)
}

// run runs the code and records the outcome: steps 6 and 7.
func (w *wireWorker) run(ctx context.Context, d wireDelivery, x fields, revision int64) error {
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	if ms := number(policy(x, "timeoutMs")); ms > 0 {
		timed, stop := context.WithTimeout(ctx, time.Duration(ms)*time.Millisecond)
		defer stop()
		ctx = timed
	}
	w.mu.Lock()
	w.running[d.id] = end
	w.mu.Unlock()
	defer func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.running, d.id)
	}()
	var input, output string
	data, _ := x["input"].([]byte)
	if x["inputType"] != "application/json" {
		_ = msgpack.Unmarshal(data, &input)
	} else if err := json.Unmarshal(data, &input); err != nil {
		return w.end(d, x, revision, "failed", fields{"kind": "invalid_input", "message": err.Error()})
	}
	attempt := number(x["attempt"])
	output, err := w.tasks[d.task](ctx, input, int(attempt))
	cause := context.Cause(ctx)
	switch {
	case errors.Is(cause, errWireCancel):
		reason := strings.TrimPrefix(cause.Error(), errWireCancel.Error()+": ")
		return w.end(d, x, revision, "cancelled", fields{"kind": "cancelled", "message": reason})
	case err == nil:
		x["output"], _ = json.Marshal(output)
		x["outputType"] = "application/json"
		delete(x, "error")
		return w.end(d, x, revision, "completed", nil)
	}
	status, failure := "failed", fields{"kind": "error", "message": err.Error()}
	if errors.Is(cause, context.DeadlineExceeded) {
		status, failure["kind"] = "timed_out", "timeout"
	}
	if attempt >= number(policy(x, "maxRetries")) {
		return w.end(d, x, revision, status, failure)
	}
	return w.retry(d, x, revision, failure)
}

// attempted notes an attempt in the history.
func attempted(x, failure fields) {
	now := time.Now().UnixMilli()
	entry := fields{"attempt": number(x["attempt"]), "executor": x["executor"], "startedAt": x["startedAt"], "endedAt": now}
	if failure != nil {
		entry["error"], x["error"] = failure, failure
	}
	history, _ := x["history"].([]any)
	history = append(history, entry)
	x["history"] = history[max(len(history)-20, 0):]
	x["changedAt"] = now
	delete(x, "expiresAt")
}

// end records the end, then announces it, then acknowledges the message: step 7.
func (w *wireWorker) end(d wireDelivery, x fields, revision int64, status string, failure fields) error {
	attempted(x, failure)
	x["status"], x["finishedAt"], x["isClosed"] = status, x["changedAt"], true
	delete(x, "claimedBy")
	delete(x, "claimedDelivery")
	retention := w.retention
	if ms := policy(x, "retentionMs"); ms != nil {
		retention = time.Duration(number(ms)) * time.Millisecond
	}
	var ttl []string
	if retention > 0 {
		ttl = []string{"Nats-TTL", strconv.FormatInt(int64((retention+2*w.lease)/time.Second), 10)}
	}
	if _, ok, err := w.write(x, revision, ttl...); err != nil || ok {
		return errors.Join(err, w.tell(d, x))
	}
	x, _, err := w.look(d) // the execution was cancelled: discard the result
	if err == nil && x != nil {
		err = fmt.Errorf("%s: written by somebody who has not ended it: %v", d.id, x)
	}
	return err
}

// retry records that another attempt follows, and schedules its message: step 8.
func (w *wireWorker) retry(d wireDelivery, x fields, revision int64, failure fields) error {
	attempted(x, failure)
	x["status"], x["attempt"] = "ready", number(x["attempt"])+1
	x["startAt"] = time.Now().UnixMilli() + number(policy(x, "baseDelayMs"))
	delete(x, "executor")
	if _, ok, err := w.write(x, revision); err != nil || ok {
		return errors.Join(err, w.later(d, x))
	}
	_, _, err := w.look(d)
	return err
}

// later schedules a message for the time at which an execution has to start: step 8.
func (w *wireWorker) later(d wireDelivery, x fields) error {
	at := time.UnixMilli(number(x["startAt"]))
	if wait := time.Until(at); wait < time.Second {
		return d.Respond(fmt.Appendf(nil, `-NAK {"delay":%d}`, max(wait.Nanoseconds(), 1)))
	}
	if _, revision, err := w.record(d.id); err != nil {
		return err
	} else if revision == 0 { // the timer is only a hint: it needs a record
		if _, _, err := w.write(x, 0); err != nil {
			return err
		}
	}
	m := nats.NewMsg("durable.later." + d.id)
	m.Header.Set("Durable-Hint", "1")
	m.Header.Set("Nats-Schedule", "@at "+at.UTC().Format(time.RFC3339Nano))
	m.Header.Set("Nats-Schedule-Target", fmt.Sprintf("durable.due.%s.%s.%s", d.queue, d.task, d.id))
	if _, stored, err := w.store(m); err != nil || !stored {
		return fmt.Errorf("timer for %s: stored: %t, %w", d.id, stored, err)
	}
	return d.Respond([]byte("+ACK"))
}

// tell publishes the notice, and acknowledges the message.
func (w *wireWorker) tell(d wireDelivery, x fields) error {
	data, err := msgpack.Marshal(x)
	if err == nil {
		err = w.nc.Publish("durable.ended."+d.id, data)
	}
	return errors.Join(err, d.Respond([]byte("+ACK")))
}

// record reads a record from the leader; nil if there is none.
func (w *wireWorker) record(id string) (x fields, revision int64, err error) {
	query := fmt.Sprintf(`{"last_by_subj":"$KV.durable-executions.%s"}`, id)
	m, err := w.nc.Request("$JS.API.STREAM.MSG.GET.KV_durable-executions", []byte(query), time.Second)
	if err != nil {
		return nil, 0, err
	}
	var answer struct {
		Message *struct {
			Sequence int64  `json:"seq"`
			Headers  []byte `json:"hdrs"`
			Data     []byte `json:"data"`
		} `json:"message"`
	}
	if err := json.Unmarshal(m.Data, &answer); err != nil || answer.Message == nil {
		return nil, 0, err
	}
	if strings.Contains(string(answer.Message.Headers), "KV-Operation") {
		return nil, answer.Message.Sequence, nil
	}
	return x, answer.Message.Sequence, msgpack.Unmarshal(answer.Message.Data, &x)
}

// write replaces a record at a revision, with headers (name, value, ...). It returns false if
// another process has replaced it before.
func (w *wireWorker) write(x fields, over int64, headers ...string) (revision int64, ok bool, err error) {
	m := nats.NewMsg("$KV.durable-executions." + x["executionId"].(string))
	if m.Data, err = msgpack.Marshal(x); err != nil {
		return 0, false, err
	}
	m.Header.Set("Nats-Expected-Last-Subject-Sequence", strconv.FormatInt(over, 10))
	m.Header.Set("Durable-Write", w.nc.NewInbox())
	if over > 0 {
		m.Header.Set("Nats-Rollup", "sub")
	}
	for i := 0; i < len(headers); i += 2 {
		m.Header.Set(headers[i], headers[i+1])
	}
	return w.store(m)
}

// store publishes a message. ok says that the server has stored it.
func (w *wireWorker) store(m *nats.Msg) (sequence int64, ok bool, err error) {
	answer, err := w.nc.RequestMsg(m, time.Second)
	if err != nil {
		return 0, false, err
	}
	var ack struct {
		Sequence int64 `json:"seq"`
		Error    any   `json:"error"`
	}
	err = json.Unmarshal(answer.Data, &ack)
	return ack.Sequence, err == nil && ack.Error == nil, err
}

func (w *wireWorker) isRunning(id string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.running[id] != nil
}

func policy(x fields, name string) any {
	p, _ := x["policy"].(fields)
	return p[name]
}

// number returns an integer, whatever type it was decoded to.
func number(v any) int64 {
	n, _ := strconv.ParseInt(fmt.Sprint(v), 10, 64)
	return n
}
