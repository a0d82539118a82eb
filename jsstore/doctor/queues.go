package doctor

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/durable-execution/durable/jsstore/internal/message"
	"github.com/durable-execution/durable/jsstore/internal/namespace"
	"github.com/durable-execution/durable/jsstore/internal/rpc"
)

const (
	// maxLater is how many timers are examined, the oldest first.
	maxLater = 1000
	// overdue is how late a timer may be: timers fire up to 250 ms late, and some seconds later
	// after the server has restarted.
	overdue = 15 * time.Second
	// tooLong is how long an execution may be due although slots are free.
	tooLong = time.Minute
)

// A QueueSeen describes a queue and its executions.
type QueueSeen struct {
	Name string
	// Waiting counts executions that are due and not delivered yet, InHand those that an
	// executor holds.
	Waiting, InHand uint64
	// Oldest is how long the oldest of the waiting executions has been due; zero if none is
	// waiting.
	Oldest time.Duration
	// Executors is how many executors serve the queue.
	Executors int
	Paused    bool
}

// A load is the executions of one task in one queue.
type load struct{ queue, task string }

func (e *examiner) examineQueues(ctx context.Context) {
	due, looked, total, err := e.loads(ctx)
	if err != nil {
		e.unknown("queue.tasks", "", err)
		return
	}
	later := e.examineTimers(ctx)
	names := map[string]bool{}
	for l := range due {
		names[l.queue] = true
	}
	for src := range e.consumes {
		if queue := src.Queue(); queue != "" {
			names[queue] = true
		}
	}
	for _, a := range e.Executors {
		for queue := range a.Queues {
			names[queue] = true
		}
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		e.judgeQueue(ctx, name, due)
	}
	if looked < total {
		e.find(Note, "queue.sample", "", fmt.Sprintf("only %d of %d due executions were examined for their queues and tasks: the findings below count only those", looked, total), "", "")
	}
	e.judgeTasks(ctx, due, later)
	e.fine("queue.served", "each queue that has work is served")
	e.fine("queue.tasks", "each task with executions in a served queue is bound there")
}

// loads counts the due executions by queue and task. The server returns at most 100,000
// subjects at a time; loads returns how many it has counted, and how many there are in total.
func (e *examiner) loads(ctx context.Context) (due map[load]uint64, looked, total uint64, err error) {
	due = map[load]uint64{}
	for _, place := range []namespace.Place{{Stream: e.layout.Ready(), Subject: e.layout.NS + ".ready.>"}, {Stream: e.layout.Timers(), Subject: e.layout.NS + ".due.>"}} {
		if e.streams[place.Stream] == nil {
			continue
		}
		body, err := json.Marshal(map[string]any{"subjects_filter": place.Subject})
		if err != nil {
			return nil, 0, 0, err
		}
		var info struct {
			Error *jetstream.APIError `json:"error"`
			Total uint64              `json:"total"`
			State struct {
				Subjects map[string]uint64 `json:"subjects"`
			} `json:"state"`
		}
		if _, err = ask(ctx, e.Timeout, func(ctx context.Context) (struct{}, error) {
			return struct{}{}, e.rpc.API(ctx, "STREAM.INFO."+place.Stream, body, &info)
		}); err == nil && info.Error != nil {
			err = rpc.Error(info.Error)
		}
		if err != nil {
			return nil, 0, 0, err
		}
		for subject, n := range info.State.Subjects {
			if x, err := e.layout.Execution(subject); err == nil {
				due[load{x.Queue, x.Task}] += n
			} else if place.Stream == e.layout.Ready() {
				e.judgeSubject(subject, err)
			}
			looked += n
		}
		total += max(info.Total, uint64(len(info.State.Subjects)))
	}
	return due, looked, total, nil
}

// judgeQueue checks one queue.
func (e *examiner) judgeQueue(ctx context.Context, name string, due map[load]uint64) {
	q := QueueSeen{Name: name}
	free, pulls := 0, 0
	for _, a := range e.Executors {
		if a.Serves(name) {
			q.Executors, free = q.Executors+1, free+max(a.Slots-a.Running, 0)
		}
	}
	for _, src := range e.layout.QueueSources(name) {
		info := e.consumes[src]
		if info == nil {
			continue
		}
		pulls += info.NumWaiting
		q.Waiting, q.InHand, q.Paused = q.Waiting+info.NumPending, q.InHand+uint64(info.NumAckPending), q.Paused || info.Paused
		if info.NumPending == 0 {
			continue
		}
		if m, err := e.get(ctx, src.Stream, src.Filter, info.Delivered.Stream+1); err == nil && m != nil {
			q.Oldest = max(q.Oldest, info.TimeStamp.Sub(m.Time))
		}
	}
	lies := uint64(0)
	for l, n := range due {
		if l.queue == name {
			lies += n
		}
	}
	if e.consumes[e.layout.QueueSources(name)[0]] == nil {
		q.Waiting = lies
		if m, err := e.get(ctx, e.layout.Ready(), e.layout.ReadyIn(name), 1); err == nil && m != nil {
			q.Oldest = e.At.Sub(m.Time)
		}
	}
	e.Queues = append(e.Queues, q)
	switch {
	case lies == 0:
	case q.Executors == 0 && pulls > 0:
		e.find(Note, "queue.served", name, "is served by an executor that does not answer the roll",
			"it is not known which tasks it has bound", "if it is of an earlier version, finish the deploy; or this user may not ask")
	case q.Executors == 0:
		e.judgeUnserved(ctx, name, lies)
	case q.Waiting > 0 && q.Oldest > tooLong && free > 0 && !q.Paused:
		e.find(Warning, "queue.age", name, fmt.Sprintf("the oldest of %d waiting executions has waited for %s, although %s", q.Waiting, ageOf(q.Oldest), counted(free, "slot is free", "slots are free")),
			"healthy executors take due executions within milliseconds", "see the findings about its consumer and its executors; their logs")
	case q.Waiting > 0 && q.Oldest > tooLong:
		e.find(Note, "queue.age", name, fmt.Sprintf("the oldest of %d waiting executions has waited for %s", q.Waiting, ageOf(q.Oldest)),
			"there is more work than slots", "more executors, or more Slots")
	}
}

// judgeTasks checks that some executor has bound the tasks in the queues.
func (e *examiner) judgeTasks(ctx context.Context, due, later map[load]uint64) {
	for _, l := range slices.SortedFunc(maps.Keys(due), compareLoads) {
		if !e.unbound(l) {
			continue
		}
		m, err := e.get(ctx, e.layout.Ready(), e.layout.NS+".ready."+l.queue+"."+l.task+".>", 1)
		if err != nil || m != nil && message.ParseDue(e.layout, m).Execution.Sleeping {
			continue // it needs no code
		}
		e.find(Problem, "queue.tasks", l.queue+"/"+l.task, counted(due[l], "execution is", "executions are")+" queued, and no executor of the queue has bound the task",
			"executors return such executions with a growing delay until one has bound it; they don't fail because of this", "deploy an executor that binds the task; if the task is mistyped: durable cancel")
	}
	for _, l := range slices.SortedFunc(maps.Keys(later), compareLoads) {
		if due[l] == 0 && e.unbound(l) {
			e.find(Warning, "queue.tasks", l.queue+"/"+l.task, counted(later[l], "execution is", "executions are")+" delayed, and no executor of the queue has bound the task",
				"such executions are due later, or were returned because nobody has bound the task", "deploy an executor that binds the task; if the task is mistyped: durable cancel")
		}
	}
}

func compareLoads(a, b load) int {
	if a.queue != b.queue {
		if a.queue < b.queue {
			return -1
		}
		return 1
	}
	if a.task < b.task {
		return -1
	}
	return 1
}

// unbound reports whether executors serve the queue and none of them has bound the task.
func (e *examiner) unbound(l load) bool {
	served := false
	for _, a := range e.Executors {
		if !a.Serves(l.queue) {
			continue
		}
		if served = true; a.Cut && len(a.Tasks) == 0 || a.Binds(l.task) {
			return false
		}
	}
	return served
}

// examineTimers checks whether the oldest timers are overdue, and counts them by queue and
// task.
func (e *examiner) examineTimers(ctx context.Context) map[load]uint64 {
	later := map[load]uint64{}
	info := e.streams[e.layout.Timers()]
	if info == nil || !info.Config.AllowDirect {
		return later
	}
	n, late, latest := 0, 0, time.Duration(0)
	_, err := ask(ctx, e.Timeout, func(ctx context.Context) (struct{}, error) {
		for m, err := range e.rpc.Scan(ctx, e.layout.Timers(), e.layout.LaterSubject(">")) {
			if err != nil {
				return struct{}{}, err
			}
			if n++; n > maxLater {
				break
			}
			if by := info.TimeStamp.Sub(dueAt(m)); by > overdue {
				late, latest = late+1, max(latest, by)
			}
			if d := message.ParseDue(e.layout, m); message.IsExecution(d) && !d.Execution.Sleeping {
				later[load{d.Execution.Queue, d.Execution.Task}]++
			}
		}
		return struct{}{}, nil
	})
	switch {
	case err != nil:
		e.unknown("queue.timers", e.layout.Timers(), err)
	case late > 0:
		e.find(Problem, "queue.timers", e.layout.Timers(), counted(late, "timer", "timers")+" should have fired, the first "+ageOf(latest)+" ago",
			"delays, back-offs and time-outs do not end", "nats stream cluster step-down "+e.layout.Timers()+", or restart the server: it then reads the timers again")
	default:
		e.find(OK, "queue.timers", "", counted(min(n, maxLater), "timer", "timers")+" examined, none overdue", "", "")
	}
	return later
}

// dueAt returns when a timer fires, or a time in the far future if the timer does not say.
func dueAt(m *rpc.Stored) time.Time {
	at, err := time.Parse("@at "+time.RFC3339Nano, m.Header.Get(message.HeaderSchedule))
	if err != nil {
		return m.Time.AddDate(100, 0, 0)
	}
	return at
}
