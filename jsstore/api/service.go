// Package api is the API of a namespace: a NATS micro service that speaks JSON, for clients in
// any language: see codec/WIRE.md. It translates requests and answers; an engine.Client carries
// them out, as it does for any Go program.
package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"

	"github.com/durable-execution/durable/engine"
)

// Version is the version of the API. Its first number grows when the service would no longer
// understand an older client, or would misunderstand it.
const Version = "1.0.0"

// Config says what a service serves.
type Config struct {
	Conn      *nats.Conn
	Namespace string
	Store     engine.Store
	// Client carries out the requests.
	Client *engine.Client
	// Instance is the name under which this instance presents itself.
	Instance string
	// Queues returns the state of the store's queues.
	Queues func(context.Context) (Queues, error)
	// Running returns running executions, by their records. The service looks among them for
	// lost executors. If it is nil, queues and executors show no lost executor.
	Running func(context.Context) ([]engine.Execution, error)
	// Index answers lists, if it is not nil.
	Index Index
}

// A Service answers requests until it is stopped.
type Service struct {
	Config
	lookout *engine.Lookout
	micro   micro.Service
	serving context.Context // ends when the service stops: waiting requests are answered then
	end     context.CancelFunc
	patient context.Context // ends up to stopTime later
	abort   context.CancelFunc

	mu      sync.Mutex
	stopped bool
	running sync.WaitGroup // grows while mu is held, and not once stopped is set

	// The slots of the three kinds of requests.
	short, waits, scans chan struct{}
	counts              map[string]*counts // by endpoint
}

// counts are statistics of an endpoint. Those of package micro measure only the time until a
// request is handed to its own goroutine.
type counts struct {
	Answered atomic.Int64
	Errors   atomic.Int64
	InFlight atomic.Int64
	Nanos    atomic.Int64
}

// How many requests an instance handles at a time. Further short requests wait in the
// subscription; for the other kinds the client is told to try again. A wait takes a goroutine
// and a subscription; a scan may read the whole namespace.
const (
	shortAtOnce = 256
	waitsAtOnce = 4096
	scansAtOnce = 4
)

// stopTime is how long requests under way may delay the end of a service.
const stopTime = 5 * time.Second

// Start starts an instance. When it returns, the server knows the instance.
func Start(ctx context.Context, c Config) (*Service, error) {
	s := &Service{
		Config: c, lookout: engine.NewLookout(c.Store), counts: map[string]*counts{},
		short: make(chan struct{}, shortAtOnce), waits: make(chan struct{}, waitsAtOnce), scans: make(chan struct{}, scansAtOnce),
	}
	s.serving, s.end = context.WithCancel(context.Background())
	s.patient, s.abort = context.WithCancel(context.Background())
	var err error
	s.micro, err = micro.AddService(c.Conn, micro.Config{
		Name: c.Namespace + "-api", Version: Version,
		Description:  "durable executions in the namespace " + c.Namespace,
		Metadata:     map[string]string{"namespace": c.Namespace, "instance": c.Instance},
		StatsHandler: s.stats,
	})
	if err != nil {
		return nil, fmt.Errorf("serve the API: %w", err)
	}
	if err := s.addEndpoints(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("serve the API: %w", err), s.Stop())
	}
	return s, nil
}

func (s *Service) addEndpoints(ctx context.Context) error {
	list := s.endpoints()
	for _, e := range list {
		s.counts[e.name] = &counts{}
	}
	group := s.micro.AddGroup(s.Namespace + ".api")
	for _, e := range list {
		err := group.AddEndpoint(e.name, micro.HandlerFunc(func(r micro.Request) { s.take(e, r) }),
			micro.WithEndpointMetadata(map[string]string{"about": e.about}))
		if err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, flushTime) // FlushWithContext needs a context with a deadline
	defer cancel()
	return s.Conn.FlushWithContext(ctx)
}

// flushTime is how long the server may take to learn about the endpoints.
const flushTime = 10 * time.Second

// Stop accepts no more requests and answers waiting requests early. It returns when all
// accepted requests have been answered, or after stopTime.
func (s *Service) Stop() error {
	err := s.micro.Stop()
	s.settle()
	s.mu.Lock()
	s.stopped = true
	s.mu.Unlock()
	s.end()
	limit := time.AfterFunc(stopTime, s.abort)
	defer limit.Stop()
	s.running.Wait()
	s.abort()
	return err
}

// settleTime is how long a request may take from the connection to its handler.
const settleTime = 50 * time.Millisecond

// settle waits until the server sends no more requests and those already sent have reached
// their handlers. The client drains its subscriptions in the background and does not say when
// it is done. Without settle the last requests were lost with the connection, and their clients
// waited in vain.
func (s *Service) settle() {
	ctx, cancel := context.WithTimeout(context.Background(), stopTime)
	defer cancel()
	if s.Conn.FlushWithContext(ctx) == nil { // otherwise there is no connection to answer on
		time.Sleep(settleTime)
	}
}

// stats returns the statistics of an endpoint.
func (s *Service) stats(e *micro.Endpoint) any {
	c := s.counts[e.Name]
	if c == nil {
		return nil
	}
	return struct {
		Answered     int64 `json:"answered"`
		Errors       int64 `json:"errors"`
		InFlight     int64 `json:"inFlight"`
		Milliseconds int64 `json:"milliseconds"`
	}{c.Answered.Load(), c.Errors.Load(), c.InFlight.Load(), c.Nanos.Load() / int64(time.Millisecond)}
}

// take hands a request to a goroutine, so that the endpoint's next request need not wait for
// its answer.
func (s *Service) take(e endpoint, r micro.Request) {
	if !s.slot(e) {
		s.refuse(e, r, &Error{Code: 429, Name: "busy", Message: "this instance has no free slot for this kind of request: try again"})
		return
	}
	counts, began := s.counts[e.name], time.Now()
	counts.InFlight.Add(1)
	started := s.begin(func() {
		defer func() {
			counts.Nanos.Add(int64(time.Since(began)))
			counts.InFlight.Add(-1)
			<-e.slots
		}()
		s.answer(e, r)
	})
	if !started { // it came from a subscription that was drained
		counts.InFlight.Add(-1)
		<-e.slots
		s.refuse(e, r, &Error{Code: 503, Name: "shutting_down", Message: "this instance of the service is stopping: try again"})
	}
}

// slot takes a slot for a request of this kind. It returns false if none is free.
func (s *Service) slot(e endpoint) bool {
	if e.patient {
		e.slots <- struct{}{}
		return true
	}
	select {
	case e.slots <- struct{}{}:
		return true
	default:
		return false
	}
}

// begin starts fn, unless the service has been stopped.
func (s *Service) begin(fn func()) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped {
		return false
	}
	s.running.Go(fn)
	return true
}

func (s *Service) answer(e endpoint, r micro.Request) {
	ctx, cancel := context.WithTimeout(s.patient, e.limit)
	defer cancel()
	answer, err := e.handle(ctx, r.Data())
	var data []byte
	if err == nil {
		data, err = marshal(answer)
	}
	if n := len(data); err == nil && n > s.room() {
		err = &Error{Code: 413, Name: "too_large", Message: fmt.Sprintf("the answer has %d bytes, more than a message may have", n)}
	}
	if err != nil {
		s.refuse(e, r, errorOf(err))
		return
	}
	s.counts[e.name].Answered.Add(1)
	s.respond(r, &nats.Msg{Data: data})
}

func (s *Service) refuse(e endpoint, r micro.Request, err *Error) {
	s.counts[e.name].Errors.Add(1)
	data, _ := json.Marshal(struct { // texts and a number
		Error *Error `json:"error"`
	}{err})
	m := &nats.Msg{Data: data, Header: nats.Header{}}
	m.Header.Set(micro.ErrorCodeHeader, fmt.Sprint(err.Code))
	m.Header.Set(micro.ErrorHeader, oneLine(err.Message))
	s.respond(r, m)
}

// respond publishes an answer. It avoids package micro's own calls: they keep statistics that a
// handler must not touch once it has returned.
func (s *Service) respond(r micro.Request, m *nats.Msg) {
	if m.Subject = r.Reply(); m.Subject == "" {
		return // the client wants no answer
	}
	_ = s.Conn.PublishMsg(m) // if this fails, the client hears nothing and asks again
}

// room is how many bytes an answer may have, without its headers.
func (s *Service) room() int { return int(s.Conn.MaxPayload()) - 1024 }
