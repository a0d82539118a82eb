package jsstore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/durable-execution/durable/engine"
)

// A Severity is how bad something is.
type Severity string

// From what is as it should be to what loses work, or keeps it from being done.
const (
	OK      Severity = "ok"
	Note    Severity = "note"    // worth knowing; nothing to do
	Warning Severity = "warning" // works, and will hurt: on a failure, or later
	Problem Severity = "problem" // something does not work, or is lost
)

var severities = []Severity{OK, Note, Warning, Problem}

// Worse reports whether s is worse than other.
func (s Severity) Worse(other Severity) bool {
	return slices.Index(severities, s) > slices.Index(severities, other)
}

// A Finding is one thing that was looked at, and how it is.
type Finding struct {
	// Check names what was looked at: a group, a dot, and what in it.
	Check    string   `json:"check"`
	Severity Severity `json:"severity"`
	// Subject is the server, stream, consumer, queue, executor or execution that it
	// is about; empty where it is about all.
	Subject string `json:"subject,omitempty"`
	// Found is what is the matter, Why why that matters, Fix the line of
	// configuration to change or the command to run. OK has no more than Found.
	Found string `json:"found"`
	Why   string `json:"why,omitempty"`
	Fix   string `json:"fix,omitempty"`
	// Mended is what was done about it: see [ExamineConfig.Mend].
	Mended string `json:"mended,omitempty"`
}

// ExamineConfig says where else to look.
type ExamineConfig struct {
	// Namespace is the one to look at. Empty means DefaultNamespace.
	Namespace string
	// Domain and APIPrefix are those of the [Config] that it is opened with.
	Domain, APIPrefix string
	// System is a connection of a user of the system account, which may ask servers
	// how they write. Nil means that the connection examined is asked.
	System *nats.Conn
	// Monitors are URLs of the servers' monitoring ports, such as http://host:8222.
	Monitors []string
	// Sync is how the server writes, where the caller runs it; nil if not known.
	Sync *Sync
	// Roll is how long executors may take to answer. Zero means 1 s.
	Roll time.Duration
	// Timeout is how long one question to the server may take. Zero means 3 s. It does
	// not answer one that the user may not ask.
	Timeout time.Duration
	// Sample is how many records are looked at for stuck work, those first that were
	// not written for longest. Zero means 10,000; negative means all.
	Sample int
	// Mend has what can be mended be mended, once all has been looked at: executions that
	// nothing moves on are driven, trees removed that ought to be gone, messages delivered
	// again that a consumer has passed over, and set aside that nobody can serve. It takes
	// the rights of an executor, and for the bucket of an earlier version those of setup.
	// An attempt whose executor answers the roll is never begun again.
	Mend bool
}

// Sync is how a server writes what it stores.
type Sync struct {
	Always   bool
	Interval time.Duration // means nothing where it is always
	StoreDir string
}

const (
	// defaultSample is read in a second or two.
	defaultSample = 10_000
	// defaultRoll is longer than the answers take: who looks for faults waits for late ones.
	defaultRoll    = time.Second
	defaultTimeout = 3 * time.Second
)

// An Examination is what was found in a namespace and behind it.
type Examination struct {
	Namespace string
	At        time.Time
	Took      time.Duration
	Servers   []ServerSeen
	Streams   []StreamSeen
	Queues    []QueueSeen
	Executors []engine.Answer
	// Records is how many there are, Sampled how many were looked at.
	Records, Sampled int
	Findings         []Finding
	// Survives says in words what an acknowledged enqueue survives here.
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

// An examiner collects what it finds.
type examiner struct {
	*Store
	ExamineConfig
	Examination
	account  *jetstream.AccountInfo
	settled  bool                             // the namespace record was read: the lease is known
	about    int                              // how many keys of the bucket are about the namespace itself
	streams  map[string]*jetstream.StreamInfo // ours, those that answer
	missing  []string                         // ours, those that are not there
	consumes map[source]*jetstream.ConsumerInfo
	unread   []unread
	newer    int // records of a later version
	traces   traces
	repairs  []repair
	second   func() ([]engine.Answer, error) // of the roll that is called before repairs; nil before
}

// Examine looks at a namespace, and at the servers behind the connection, without
// changing anything, unless it is to mend, and without needing that anything is as it should be. What can't
// be learned is a finding; an error is that JetStream is not enabled, that the
// connection was lost on the way, that ctx has ended, or that c can't be.
func Examine(ctx context.Context, nc *nats.Conn, c ExamineConfig) (Examination, error) {
	config, err := Config{Namespace: c.Namespace, Domain: c.Domain, APIPrefix: c.APIPrefix}.withDefaults()
	if err != nil {
		return Examination{}, err
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
	s, err := attach(nc, config)
	if err != nil {
		return Examination{}, fmt.Errorf("examine namespace %s: %w", config.Namespace, err)
	}
	defer s.requests.close()
	e := &examiner{Store: s, ExamineConfig: c, streams: map[string]*jetstream.StreamInfo{}, consumes: map[source]*jetstream.ConsumerInfo{}}
	e.Examination = Examination{Namespace: config.Namespace, At: time.Now().UTC()}
	if err := e.examineServers(ctx); err != nil {
		return Examination{}, fmt.Errorf("examine namespace %s: %w", config.Namespace, err)
	}
	for _, part := range []func(context.Context){e.examineStreams, e.examineConsumers, e.examineExecutors, e.examineQueues, e.examineWork} {
		if part(ctx); ctx.Err() != nil {
			return Examination{}, context.Cause(ctx)
		}
		if !nc.IsConnected() { // or all that follows would be taken for faults
			return Examination{}, fmt.Errorf("examine namespace %s: the connection to %s was lost on the way", config.Namespace, e.Servers[0].URL)
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

// counted is a number with its noun.
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

// fine adds one that all is well, unless the check has found something.
func (e *examiner) fine(check, format string, args ...any) {
	if !slices.ContainsFunc(e.Findings, func(f Finding) bool { return f.Check == check }) {
		e.find(OK, check, "", fmt.Sprintf(format, args...), "", "")
	}
}

// unknown adds that something could not be learned.
func (e *examiner) unknown(check, subject string, err error) {
	fix := "give this user the permission to ask, or run doctor as one who has it"
	var api *jetstream.APIError
	if errors.As(err, &api) { // it was allowed to ask
		fix = "see the other findings; then run doctor again"
	}
	e.find(Warning, check, subject, "could not be learned: "+err.Error(), "what is wrong there, if anything, is not in this report", fix)
}

// ask asks the server once, and not for long.
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

// get is a leader get of the first message from a sequence on that is asked once; nil is none.
func (e *examiner) get(ctx context.Context, stream, subject string, from uint64) (*stored, error) {
	return e.getOnce(ctx, stream, subject, map[string]any{"next_by_subj": subject, "seq": from})
}

// newest is get for the last revision of a key of the bucket.
func (e *examiner) newest(ctx context.Context, subject string) (*stored, error) {
	return e.getOnce(ctx, e.layout.records(), subject, map[string]any{"last_by_subj": subject})
}

func (e *examiner) getOnce(ctx context.Context, stream, subject string, which map[string]any) (*stored, error) {
	m, err := ask(ctx, e.Timeout, func(ctx context.Context) (*stored, error) {
		return e.message(ctx, stream, subject, which)
	})
	if errors.Is(err, engine.ErrNotFound) {
		return nil, nil
	}
	return m, err
}
