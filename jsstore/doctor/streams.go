package doctor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/jsstore/internal/namespace"
)

// A StreamSeen describes one of the namespace's streams.
type StreamSeen struct {
	Name     string
	Messages uint64
	Bytes    uint64
	Storage  string
	Replicas int
	Leader   string // empty on a single server
}

func (e *examiner) examineStreams(ctx context.Context) {
	want := e.layout.Streams(1, -1)
	infos, errs := make([]*jetstream.StreamInfo, len(want)), make([]error, len(want))
	var all sync.WaitGroup // in parallel, because a stream that does not answer takes the whole time-out
	for i, w := range want {
		all.Go(func() { infos[i], errs[i] = ask(ctx, e.Timeout, e.info(w.Name)) })
	}
	all.Wait()
	for i, w := range want {
		switch {
		case errors.Is(errs[i], jetstream.ErrStreamNotFound):
			e.missing = append(e.missing, w.Name)
		case errs[i] != nil:
			e.find(Problem, "stream.leader", w.Name, "does not answer: "+errs[i].Error(),
				"nothing can be read from it or written to it", "nats stream cluster step-down "+w.Name+"; nats server report jetstream shows which servers are down")
		default:
			e.streams[w.Name] = infos[i]
			e.Streams = append(e.Streams, streamSeen(infos[i]))
		}
	}
	if len(e.missing) == len(want) {
		e.find(Problem, "stream.missing", "", "there is no namespace "+e.layout.NS+" here",
			"nobody has opened it, or this is another server or account", "--namespace NAME names another; an executor or durable demo makes one")
		return
	}
	if len(e.streams) == 0 {
		return
	}
	for _, name := range e.missing {
		e.find(Problem, "stream.missing", name, "is missing", "its messages are lost, and the other streams are useless without it",
			e.ns.Command("setup")+" makes it, empty, and so does any executor that starts; nats stream restore brings back a backup")
	}
	if len(e.streams) == len(want) {
		e.fine("stream.missing", "all %d streams are there", len(want))
	}
	e.readLease(ctx)
	for _, w := range want {
		if info := e.streams[w.Name]; info != nil {
			e.judgeConfig(ctx, info.Config, w)
			e.judgeLimits(info)
			e.judgePeers(w.Name, "stream", e.caughtUp(ctx, info.Cluster, func(ctx context.Context) (*jetstream.ClusterInfo, error) {
				info, err := e.info(w.Name)(ctx)
				if err != nil {
					return nil, err
				}
				return info.Cluster, nil
			}))
		}
	}
	e.judgeReplicas()
	e.findCopies(ctx)
	e.fine("stream.config", "configured as the layout needs")
	e.fine("stream.storage", "kept in files")
	e.fine("stream.limits", "room for more")
}

// info returns a function that asks for a stream.
func (e *examiner) info(name string) func(context.Context) (*jetstream.StreamInfo, error) {
	return func(ctx context.Context) (*jetstream.StreamInfo, error) {
		s, err := e.rpc.JS.Stream(ctx, name)
		if err != nil {
			return nil, err
		}
		return s.CachedInfo(), nil
	}
}

func streamSeen(info *jetstream.StreamInfo) StreamSeen {
	s := StreamSeen{
		Name: info.Config.Name, Messages: info.State.Msgs, Bytes: info.State.Bytes,
		Storage: info.Config.Storage.String(), Replicas: info.Config.Replicas,
	}
	if info.Cluster != nil && info.Cluster.Name != "" {
		s.Leader = info.Cluster.Leader
	}
	return s
}

// readLease reads the namespace's settings from its record, without changing the record.
func (e *examiner) readLease(ctx context.Context) {
	e.ns.Limits.Lease, e.ns.Limits.Retention = namespace.DefaultLease, engine.DefaultRetention
	if e.streams[e.layout.Records()] == nil {
		return
	}
	m, err := e.newest(ctx, e.layout.NamespaceSubject())
	if err != nil {
		e.unknown("stream.namespace", e.layout.Records(), err)
		return
	}
	n := namespace.Settings{RetentionMS: engine.DefaultRetention.Milliseconds()}
	switch {
	case m == nil:
		e.find(Warning, "stream.namespace", e.layout.Records(), "there is no namespace record",
			"the lease and the retention are the defaults of whoever opens it", e.ns.Command("setup")+" writes it, and so does any executor that starts")
		return
	case json.Unmarshal(m.Data, &n) != nil:
		e.find(Problem, "stream.namespace", e.layout.Records(), fmt.Sprintf("the namespace record is %.60q, which is not valid", m.Data),
			"nobody can open the namespace", "nats kv put "+e.layout.Bucket()+` =namespace '{"version":1,"shards":1,"leaseMs":30000}'`)
		return
	case n.Version > namespace.LayoutVersion || n.Shards != 1:
		e.find(Problem, "stream.namespace", e.layout.Records(), fmt.Sprintf("layout version %d with %d shards: this program knows version %d with 1", n.Version, n.Shards, namespace.LayoutVersion),
			"programs of this version can't open it, and this report may be wrong", "upgrade this program")
	}
	e.about = 1
	e.ns.Limits.Lease, e.ns.Limits.Retention, e.settled = n.Lease(), n.Retention(), n.LeaseMS > 0
	e.fine("stream.namespace", "layout version %d, lease %s", n.Version, e.ns.Limits.Lease)
}

func edit(stream, flags string) string {
	if flags == "" {
		return "no edit can fix this: drain the namespace, remove the stream with nats stream rm " + stream + ", and start an executor"
	}
	return "nats stream edit " + stream + " " + flags
}

func (e *examiner) judgeConfig(ctx context.Context, have, want jetstream.StreamConfig) {
	// Departures that one command corrects are one finding.
	var can, cannot, flags []string
	for _, d := range namespace.Departures(have, want) {
		words := fmt.Sprintf("its %s is %v where %v is needed", d.What, d.Have, d.Want)
		if d.Edit == "" {
			cannot = append(cannot, words)
			continue
		}
		can, flags = append(can, words), append(flags, d.Edit)
	}
	const why = "no program can open the namespace; those that have it open lose messages, or process some twice"
	if len(cannot) > 0 {
		e.find(Problem, "stream.config", have.Name, strings.Join(cannot, "; "), why, edit(have.Name, ""))
	}
	if len(can) > 0 {
		e.find(Problem, "stream.config", have.Name, strings.Join(can, "; "), why, edit(have.Name, strings.Join(flags, " ")))
	}
	for _, rule := range []struct {
		bad        bool
		severity   Severity
		found, why string
		fix        string
	}{
		{have.NoAck, Problem, "does not acknowledge publishes", "whoever enqueues gets no answer and gives up", "--ack"},
		{have.Sealed, Problem, "is sealed", "nothing can be written any more", ""},
		{have.DenyPurge && !want.DenyPurge, Problem, "refuses purges", "cancelled timers and removed trees stay behind", ""},
		{have.DenyDelete && !want.DenyDelete, Warning, "refuses deletes", "a message that is set aside can't be taken out by hand", ""},
		{!have.AllowDirect, Problem, "refuses direct gets", "durable list and durable tree can't read it", "--allow-direct"},
		{have.Mirror != nil, Problem, "is a mirror", "nothing can be published to it", ""},
		{len(have.Sources) > 0, Problem, "sources other streams", "messages from there are taken for executions", ""},
		{have.SubjectTransform != nil, Problem, "transforms subjects", "messages are not found by the subjects that they were published to", "--no-transform"},
		{have.RePublish != nil, Note, "republishes its messages", "inputs and outputs are published for whoever may subscribe there", "--no-republish"},
		{have.AllowMsgCounter, Problem, "is a counter", "its messages are sums, not executions", ""},
		{have.MaxMsgSize > 0 && int64(have.MaxMsgSize) < e.rpc.Conn.MaxPayload(), Warning,
			fmt.Sprintf("accepts messages of up to %s, but the server accepts %s", bytesOf(int64(have.MaxMsgSize)), bytesOf(e.rpc.Conn.MaxPayload())),
			"a longer message is refused although the client thinks that it fits: an outcome can't be recorded", "--max-msg-size=-1"},
	} {
		if rule.bad {
			e.find(rule.severity, "stream.config", have.Name, rule.found, rule.why, edit(have.Name, rule.fix))
		}
	}
	e.judgeRevisions(ctx, have)
	if have.Storage != jetstream.FileStorage {
		severity, why := Problem, "everything is lost when the server stops"
		if have.Replicas > 1 {
			severity, why = Warning, "everything is lost when all servers stop at once, a power failure included"
		}
		e.find(severity, "stream.storage", have.Name, "is kept in memory", why, edit(have.Name, ""))
	}
}

// judgeRevisions checks what happens to replaced revisions: see replacing.
func (e *examiner) judgeRevisions(ctx context.Context, have jetstream.StreamConfig) {
	if have.Name != e.layout.Records() {
		return
	}
	if namespace.KeepsOne(have) {
		e.find(Warning, "stream.revisions", have.Name, "keeps 1 revision of a key, but 64 are needed",
			"when the server is killed, executions that were removed in the last two minutes come back, and nothing moves them on", e.ns.Command("setup"))
		e.mends(func(ctx context.Context) (string, error) {
			_, err := e.ns.Raise(ctx, have)
			return "raised", err
		})
		return
	}
	several, err := ask(ctx, e.Timeout, e.ns.Histories)
	switch {
	case err != nil:
		e.unknown("stream.revisions", have.Name, err)
	case len(several) > 0:
		e.find(Warning, "stream.revisions", have.Name, counted(len(several), "key has", "keys have")+" older revisions, which a program of an earlier version has left",
			"when the last revision vanishes by its time to live, the one before takes its place", "finish the deploy, then "+e.mendCommand())
		e.mends(func(ctx context.Context) (string, error) {
			n, err := e.ns.Tidy(ctx)
			return "removed from " + counted(n, "key", "keys"), err
		})
	}
	e.fine("stream.revisions", "one revision of each key")
}

// judgeLimits checks what happens when the stream is full, and how full it is.
func (e *examiner) judgeLimits(info *jetstream.StreamInfo) {
	c := info.Config
	for _, l := range []struct {
		what  string
		used  uint64
		limit int64
		words func(int64) string
		flag  string
	}{
		{"messages", info.State.Msgs, c.MaxMsgs, number, "--max-msgs=-1"},
		{"bytes", info.State.Bytes, c.MaxBytes, bytesOf, "--max-bytes=-1"},
	} {
		if l.limit <= 0 {
			continue
		}
		if c.Discard == jetstream.DiscardOld {
			e.find(Problem, "stream.limits", c.Name, fmt.Sprintf("is limited to %s %s and discards the oldest", l.words(l.limit), l.what),
				"once it is full it silently loses accepted messages", edit(c.Name, l.flag))
			continue
		}
		if float64(l.used) < nearFull*float64(l.limit) {
			continue
		}
		severity := Warning
		if int64(l.used) >= l.limit {
			severity = Problem
		}
		why := "once it is full, enqueues are refused"
		if c.Name == e.layout.Records() {
			why = "once it is full no outcome can be recorded: everything stands still"
		}
		e.find(severity, "stream.limits", c.Name, fmt.Sprintf("%s of %s %s used", l.words(int64(l.used)), l.words(l.limit), l.what), why,
			edit(c.Name, strings.Replace(l.flag, "-1", "MORE", 1)))
	}
	if c.MaxConsumers > 0 && info.State.Consumers >= c.MaxConsumers {
		e.find(Problem, "stream.limits", c.Name, fmt.Sprintf("has %d consumers of at most %d", info.State.Consumers, c.MaxConsumers),
			"another queue can't be served", edit(c.Name, "--max-consumers=-1"))
	}
}
