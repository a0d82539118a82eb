// Package doctor examines a namespace and the servers behind it, reports what is wrong or will be,
// and repairs what it can.
package doctor

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/jsstore"
	"github.com/durable-execution/durable/jsstore/internal/layout"
	"github.com/durable-execution/durable/jsstore/internal/namespace"
	"github.com/durable-execution/durable/jsstore/internal/rpc"
)

// A Severity says how bad a finding is.
type Severity string

// From "all is well" to "work is lost or can't be done".
const (
	OK      Severity = "ok"
	Note    Severity = "note"    // worth knowing; no action needed
	Warning Severity = "warning" // it works now, but a failure, or time, will do harm
	Problem Severity = "problem" // something does not work, or work is lost
)

var severities = []Severity{OK, Note, Warning, Problem}

// Worse reports whether s is worse than other.
func (s Severity) Worse(other Severity) bool {
	return slices.Index(severities, s) > slices.Index(severities, other)
}

// A Finding is the result of one check.
type Finding struct {
	// Check is the name of the check: a group, a dot, and what was checked in the group.
	Check    string   `json:"check"`
	Severity Severity `json:"severity"`
	// Subject is the server, stream, consumer, queue, executor or execution that the finding
	// concerns; empty if it concerns the whole namespace.
	Subject string `json:"subject,omitempty"`
	// Found says what is wrong, Why why that matters, and Fix which line of the configuration
	// to change or which command to run. A finding that is OK has only Found.
	Found string `json:"found"`
	Why   string `json:"why,omitempty"`
	Fix   string `json:"fix,omitempty"`
	// Mended says what the doctor has done about it: see [Config.Mend].
	Mended string `json:"mended,omitempty"`
}

// Config says what Examine examines, and how.
type Config struct {
	// Namespace is the namespace to examine. Empty means DefaultNamespace.
	Namespace string
	// Domain and APIPrefix are as in the [jsstore.Config] with which programs open the namespace.
	Domain, APIPrefix string
	// System is a connection of a user of the system account, who may ask the servers how they
	// sync. Nil means the examined connection.
	System *nats.Conn
	// Monitors are URLs of the servers' monitoring ports, such as http://host:8222.
	Monitors []string
	// Sync says how the server syncs, if the caller runs the server; nil if unknown.
	Sync *jsstore.Sync
	// Roll is how long executors may take to answer the roll call. Zero means 1 s.
	Roll time.Duration
	// Timeout is how long one request to the server may take. Zero means 3 s. The server does
	// not answer a request that the user has no permission for.
	Timeout time.Duration
	// Sample is how many records are searched for stuck work, starting with those that have not
	// been written for longest. Zero means 10,000; negative means all.
	Sample int
	// Mend mends what can be mended, after all checks. It moves stuck executions on, removes
	// trees that should be gone, republishes messages that their consumer has skipped, and sets
	// aside messages that no executor can take. It needs the rights of an executor, and for the
	// bucket of an earlier version those of setup. It never starts an attempt again whose
	// executor answers the roll call.
	Mend bool
}

const (
	// defaultSample is the number of records that takes a second or two to read.
	defaultSample = 10_000
	// defaultRoll is longer than answers usually take: a search for faults waits for late ones.
	defaultRoll    = time.Second
	defaultTimeout = 3 * time.Second
)

// An Examination is the result of examining a namespace and its servers.
type Examination struct {
	Namespace string
	At        time.Time
	Took      time.Duration
	Servers   []ServerSeen
	Streams   []StreamSeen
	Queues    []QueueSeen
	Executors []engine.Answer
	// Records is the number of records, Sampled how many of them were examined.
	Records, Sampled int
	Findings         []Finding
	// Survives says in sentences what an acknowledged enqueue survives here.
	Survives []string
}

// Worst returns the worst severity of the findings that were not mended.
func (x Examination) Worst() Severity {
	worst := OK
	for _, f := range x.Findings {
		if f.Mended == "" && f.Severity.Worse(worst) {
			worst = f.Severity
		}
	}
	return worst
}

// An examiner collects findings.
type examiner struct {
	*jsstore.Store
	ns     *namespace.Namespace
	rpc    *rpc.Client
	layout layout.Layout
	Config
	Examination
	account  *jetstream.AccountInfo
	settled  bool                             // the namespace record was read, so the lease is known
	about    int                              // how many keys of the bucket belong to the namespace itself
	streams  map[string]*jetstream.StreamInfo // the namespace's streams that answer
	missing  []string                         // the namespace's streams that don't exist
	consumes map[layout.Source]*jetstream.ConsumerInfo
	unread   []unread
	newer    int // records of a later version
	traces   traces
	repairs  []repair
	second   func() ([]engine.Answer, error) // returns the answers to the roll call before the repairs; nil until the first use
}

// Examine examines a namespace and the servers behind the connection. It changes nothing unless
// c.Mend is set, and it works however broken the namespace is: if it can't learn something,
// that is a finding. It returns an error only if JetStream is not enabled, if the connection is
// lost meanwhile, if ctx ends, or if c is invalid.
func Examine(ctx context.Context, nc *nats.Conn, c Config) (Examination, error) {
	if c.Namespace == "" {
		c.Namespace = namespace.DefaultNamespace
	}
	if err := namespace.Validate(c.Namespace, c.Domain, c.APIPrefix); err != nil {
		return Examination{}, fmt.Errorf("examine namespace: %w", err)
	}
	if c.Sample == 0 {
		c.Sample = defaultSample
	}
	if c.Timeout == 0 {
		c.Timeout = defaultTimeout
	}
	if c.Roll == 0 {
		c.Roll = defaultRoll
	}
	ns, err := namespace.New(nc, c.Namespace, rpc.Options{Domain: c.Domain, APIPrefix: c.APIPrefix}, false)
	if err != nil {
		return Examination{}, fmt.Errorf("examine namespace %s: %w", c.Namespace, err)
	}
	defer ns.RPC.Close()
	e := &examiner{Store: jsstore.Over(ns), ns: ns, rpc: ns.RPC, layout: ns.Layout, Config: c, streams: map[string]*jetstream.StreamInfo{}, consumes: map[layout.Source]*jetstream.ConsumerInfo{}}
	e.Examination = Examination{Namespace: c.Namespace, At: time.Now().UTC()}
	if err := e.examineServers(ctx); err != nil {
		return Examination{}, fmt.Errorf("examine namespace %s: %w", c.Namespace, err)
	}
	for _, part := range []func(context.Context){e.examineStreams, e.examineConsumers, e.examineExecutors, e.examineQueues, e.examineWork} {
		if part(ctx); ctx.Err() != nil {
			return Examination{}, context.Cause(ctx)
		}
		if !nc.IsConnected() { // without a connection all further checks would report faults
			return Examination{}, fmt.Errorf("examine namespace %s: the connection to %s was lost meanwhile", c.Namespace, e.Servers[0].URL)
		}
		if len(e.streams) == 0 {
			break
		}
	}
	if c.Mend {
		e.mendAll(ctx)
	}
	e.Survives = e.survives()
	e.Took = time.Since(e.At)
	return e.Examination, nil
}

// counted returns a number with its noun.
func counted[N int | uint64](n N, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprint(n, " ", many)
}

// find adds a finding.
func (e *examiner) find(s Severity, check, subject, found, why, fix string) {
	e.Findings = append(e.Findings, Finding{Check: check, Severity: s, Subject: subject, Found: found, Why: why, Fix: fix})
}

// fine adds a finding that all is well, unless the check has found something.
func (e *examiner) fine(check, format string, args ...any) {
	if !slices.ContainsFunc(e.Findings, func(f Finding) bool { return f.Check == check }) {
		e.find(OK, check, "", fmt.Sprintf(format, args...), "", "")
	}
}

// unknown adds a finding that something could not be learned.
func (e *examiner) unknown(check, subject string, err error) {
	fix := "give this user the permission to ask, or run doctor as a user who has it"
	var api *jetstream.APIError
	if errors.As(err, &api) { // the user had the permission to ask
		fix = "see the other findings; then run doctor again"
	}
	e.find(Warning, check, subject, "could not be learned: "+err.Error(), "this report does not show problems there", fix)
}

// ask asks the server once, with a short time-out.
func ask[T any](ctx context.Context, timeout time.Duration, question func(context.Context) (T, error)) (T, error) {
	silence := fmt.Errorf("no answer in %s: there is no leader, or this user may not ask", timeout)
	short, cancel := context.WithTimeoutCause(ctx, timeout, silence)
	defer cancel()
	answer, err := question(short)
	if err != nil && ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded) {
		err = silence
	}
	return answer, err
}

// get returns the first message at or after a sequence, from the leader, which is asked once;
// nil if there is none.
func (e *examiner) get(ctx context.Context, stream, subject string, from uint64) (*rpc.Stored, error) {
	return e.getOnce(ctx, stream, subject, map[string]any{"next_by_subj": subject, "seq": from})
}

// newest is get for the last revision of a key of the bucket.
func (e *examiner) newest(ctx context.Context, subject string) (*rpc.Stored, error) {
	return e.getOnce(ctx, e.layout.Records(), subject, map[string]any{"last_by_subj": subject})
}

func (e *examiner) getOnce(ctx context.Context, stream, subject string, which map[string]any) (*rpc.Stored, error) {
	m, err := ask(ctx, e.Timeout, func(ctx context.Context) (*rpc.Stored, error) {
		return e.rpc.Message(ctx, stream, subject, which)
	})
	if errors.Is(err, engine.ErrNotFound) {
		return nil, nil
	}
	return m, err
}
