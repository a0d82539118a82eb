package doctor

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/durable-execution/durable/jsstore/internal/layout"
	"github.com/durable-execution/durable/jsstore/internal/message"
	"github.com/durable-execution/durable/jsstore/internal/rpc"
)

// examineConsumers checks the consumers of the streams.
func (e *examiner) examineConsumers(ctx context.Context) {
	unlisted := map[string]bool{}
	var found []*jetstream.ConsumerInfo
	for _, stream := range []string{e.layout.Ready(), e.layout.Timers(), e.layout.Control(), e.layout.Records()} {
		if e.streams[stream] == nil {
			continue
		}
		_, err := ask(ctx, e.Timeout, func(ctx context.Context) (struct{}, error) {
			s, err := e.rpc.JS.Stream(ctx, stream)
			if err != nil {
				return struct{}{}, err
			}
			list := s.ListConsumers(ctx)
			for info := range list.Info() {
				found = append(found, info)
			}
			return struct{}{}, list.Err()
		})
		if err != nil {
			e.unknown("consumer.config", stream, err)
			unlisted[stream] = true
		}
	}
	for _, info := range found {
		e.judgeConsumer(ctx, info)
	}
	var missing []string
	for _, src := range []layout.Source{e.layout.ClosureSource(), e.layout.CancelSource(), e.layout.ExpirySource()} {
		if e.streams[src.Stream] != nil && e.consumes[src] == nil && !unlisted[src.Stream] {
			missing = append(missing, src.Stream+"/"+src.Consumer)
		}
	}
	if len(missing) > 0 {
		e.find(Note, "consumer.missing", "", "missing: "+strings.Join(missing, ", "),
			"no executor has run in this namespace yet, or somebody has removed them", e.ns.Command("setup")+" makes them, and so does any executor that starts")
	}
	for src, info := range e.consumes {
		e.findSkipped(ctx, src, info)
	}
	if len(e.consumes) == 0 {
		return
	}
	e.fine("consumer.config", "%s, configured as the layout needs", counted(len(e.consumes), "consumer", "consumers"))
	e.fine("consumer.skipped", "no message is below the ack floor of its consumer")
}

// ours returns the consumer of the namespace that has this name, and false if there is none.
func (e *examiner) ours(stream, name string) (layout.Source, bool) {
	list := []layout.Source{e.layout.ClosureSource(), e.layout.CancelSource(), e.layout.ExpirySource()}
	if queue, ok := strings.CutPrefix(name, "queue-"); ok {
		list = append(list, e.layout.QueueSources(queue)...)
	}
	i := slices.IndexFunc(list, func(s layout.Source) bool { return s.Stream == stream && s.Consumer == name })
	if i < 0 {
		return layout.Source{}, false
	}
	return list[i], true
}

func (e *examiner) judgeConsumer(ctx context.Context, info *jetstream.ConsumerInfo) {
	name := info.Stream + "/" + info.Name
	src, ours := e.ours(info.Stream, info.Name)
	remove := "nats consumer rm " + info.Stream + " " + info.Name
	switch {
	case !ours && info.Stream == e.layout.Records():
		e.find(Note, "consumer.foreign", name, "reads the records", "harmless: a watch, or a view", "")
		return
	case !ours:
		e.find(Problem, "consumer.foreign", name, fmt.Sprintf("does not belong to durable, and takes %s off the work queue", filters(info.Config)),
			"the messages that it acknowledges are gone: their executions never run", remove)
		return
	}
	e.consumes[src] = info
	e.judgePeers(name, "consumer", e.caughtUp(ctx, info.Cluster, func(ctx context.Context) (*jetstream.ClusterInfo, error) {
		c, err := e.rpc.JS.Consumer(ctx, info.Stream, info.Name)
		if err != nil {
			return nil, err
		}
		return c.CachedInfo().Cluster, nil
	}))
	have, want := info.Config, e.layout.Consumer(src.Consumer, src.Filter, e.ns.Limits.Lease)
	change := "nats consumer edit " + info.Stream + " " + info.Name + " "
	again := remove + "; any executor that starts makes it again, and nothing is lost"
	unlimited := change + "--max-pending=-1"
	if src.Queue() != "" {
		unlimited = e.ns.Command("queues limit " + src.Queue() + " none")
	}
	longest := e.ns.PullExpiry()
	for _, rule := range []struct {
		bad              bool
		severity         Severity
		found, why, edit string
	}{
		{filters(have) != want.FilterSubject, Problem, fmt.Sprintf("filters %s where %s is needed", filters(have), want.FilterSubject),
			"messages that it does not match are never delivered", again},
		{have.AckPolicy != want.AckPolicy, Problem, "its ack policy is " + have.AckPolicy.String(), "a delivered message is gone, even if its executor crashes", again},
		{have.DeliverSubject != "", Problem, "pushes its messages", "executors pull, and get none", again},
		{have.HeadersOnly, Problem, "delivers headers only", "inputs are missing", again},
		{have.MaxDeliver > 0, Problem, fmt.Sprintf("delivers a message %d times at most", have.MaxDeliver),
			"a message that executors have returned that often, during a deploy or for an unknown task, is never delivered again", change + "--max-deliver=-1"},
		{len(have.BackOff) > 0, Problem, "has a back-off of its own", "it replaces the lease: other executors start running attempts again", again},
		{len(have.PriorityGroups) > 0, Problem, "has priority groups", "pulls without a group are refused: nothing is delivered", again},
		{have.MaxRequestExpires > 0 && have.MaxRequestExpires < longest, Problem, fmt.Sprintf("takes pulls of %s at most", have.MaxRequestExpires),
			fmt.Sprintf("executors pull for %s, which is refused", longest), again},
		{e.settled && have.AckWait != want.AckWait, Warning, fmt.Sprintf("waits %s for an acknowledgement where the lease is %s", have.AckWait, want.AckWait),
			"crashes are noticed earlier or later than the lease says; if it is shorter than a third of the lease, running attempts are started again", change + "--wait=" + want.AckWait.String()},
		{have.MaxRequestBatch > 0, Warning, fmt.Sprintf("takes pulls of %d messages at most", have.MaxRequestBatch), "an executor with more free slots than that gets nothing", again},
		{have.RateLimit > 0, Warning, fmt.Sprintf("delivers %d bits a second at most", have.RateLimit), "work waits although slots are free", again},
		{have.InactiveThreshold > 0, Note, fmt.Sprintf("is removed after it was idle for %s", have.InactiveThreshold), "nothing is lost: executors make it again", change + "--inactive-threshold=0"},
		{have.MemoryStorage && !e.inMemory(info.Stream), Warning, "keeps its state in memory", "after a restart running attempts are started again", again},
		{have.Replicas != 0 && have.Replicas != e.streams[info.Stream].Config.Replicas, Warning,
			fmt.Sprintf("has %d replicas where its stream has %d", have.Replicas, e.streams[info.Stream].Config.Replicas),
			"with fewer replicas it stops when their servers stop, although the stream goes on", change + fmt.Sprint("--replicas=", e.streams[info.Stream].Config.Replicas)},
		{have.MaxWaiting > 0 && info.NumWaiting*10 >= have.MaxWaiting*8, Warning, fmt.Sprintf("%d of at most %d pulls are waiting", info.NumWaiting, have.MaxWaiting),
			"beyond that, idle executors are refused and keep retrying", again},
		{have.MaxAckPending > 0 && info.NumAckPending >= have.MaxAckPending, Warning, fmt.Sprintf("all %d messages that may be in hand are in hand", have.MaxAckPending),
			"the others wait although slots may be free; this limits the whole fleet, intended or not", unlimited},
		{have.MaxAckPending > 0 && info.NumAckPending < have.MaxAckPending, Note, fmt.Sprintf("at most %d messages may be in hand at a time, and %d are", have.MaxAckPending, info.NumAckPending),
			"this limits the whole fleet, intended or not", unlimited},
	} {
		if rule.bad {
			e.find(rule.severity, "consumer.config", name, rule.found, rule.why, rule.edit)
		}
	}
	if info.Paused {
		until := "somebody resumes it"
		if info.PauseRemaining > 0 {
			until = info.PauseRemaining.Round(time.Second).String() + " have passed"
		}
		resume := "nats consumer resume " + info.Stream + " " + info.Name
		if src.Queue() != "" {
			resume = e.ns.Command("queues resume " + src.Queue())
		}
		e.find(Warning, "consumer.paused", name, "is paused: nothing is delivered until "+until, "this is fine if it is intended", resume)
	}
}

func (e *examiner) inMemory(stream string) bool {
	return e.streams[stream].Config.Storage == jetstream.MemoryStorage
}

// filters returns what a consumer matches, in words.
func filters(c jetstream.ConsumerConfig) string {
	switch {
	case len(c.FilterSubjects) > 0:
		return strings.Join(c.FilterSubjects, " ")
	case c.FilterSubject == "":
		return "everything"
	}
	return c.FilterSubject
}

// settle is how long an acknowledgement may take to remove its message.
const settle = 500 * time.Millisecond

// findSkipped looks for messages below the ack floor of their consumer: it will never deliver
// them.
func (e *examiner) findSkipped(ctx context.Context, src layout.Source, info *jetstream.ConsumerInfo) {
	floor := info.AckFloor.Stream
	if floor == 0 {
		return
	}
	m, err := e.get(ctx, src.Stream, src.Filter, 1)
	if err == nil && m != nil && m.Sequence <= floor {
		if pause(ctx, settle) != nil {
			return
		}
		var again *rpc.Stored
		if again, err = e.get(ctx, src.Stream, src.Filter, 1); again == nil || again.Sequence > floor {
			m = nil // it was just being acknowledged
		}
	}
	switch {
	case err != nil:
		e.unknown("consumer.skipped", src.Stream+"/"+src.Consumer, err)
	case m != nil && m.Sequence <= floor:
		if e.hasRun(ctx, m) {
			e.find(Problem, "stream.lost", src.Stream, m.Subject+" is still there although it has run: the server has read its files only partly",
				"messages after it may be lost; an execution that was only queued has left no record and will not run",
				"look for errors about blocks in the server's log; enqueue the executions that durable list does not show once more, with their ids")
		}
		e.find(Problem, "consumer.skipped", src.Stream+"/"+src.Consumer,
			fmt.Sprintf("%s is at sequence %d, stored %s; the ack floor of the consumer is %d", m.Subject, m.Sequence, m.Time.UTC().Format(time.RFC3339), floor),
			"it, and other messages below the floor, will never be delivered (nats-server 2.15.2 and earlier do this to a work queue after a purge by subject)",
			e.mendCommand()+" sends it again; or, while no executor runs, nats consumer rm "+src.Stream+" "+src.Consumer+": the next executor that starts makes the consumer again and gets all its messages")
		e.mends(func(ctx context.Context) (string, error) { return e.deliverSkipped(ctx, src) })
	}
}

// hasRun reports whether the execution of a message has finished.
func (e *examiner) hasRun(ctx context.Context, m *rpc.Stored) bool {
	d := message.ParseDue(e.layout, m)
	if !message.IsExecution(d) {
		return false
	}
	last, err := e.newest(ctx, e.layout.RecordSubject(d.Execution.ID))
	if err != nil || last == nil {
		return false
	}
	r, err := message.DecodeRecord(last)
	return err == nil && r.Status.Finished() && r.SameLife(&d.Execution)
}

// pause waits, unless ctx ends first.
func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
