package jsstore

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/jsstore/internal/layout"
	"github.com/durable-execution/durable/jsstore/internal/rpc"
)

// pullSilence returns how long a waiting feed hears nothing before it considers its pulls lost
// and makes new ones: the server had the time of an answer to report their end.
func (s *Store) pullSilence() time.Duration { return s.ns.PullExpiry() + rpc.AnswerTimeout }

// A puller requests as many messages from one consumer as its feed has credit for, over one
// subscription, and passes them on as they come. The client's own Consume keeps requesting
// further batches by itself; an executor may hold no more messages than it has slots.
type puller struct {
	s      *Store
	source layout.Source
	sub    *nats.Subscription
	inbox  string
	credit func() int // how many messages the feed still wants
	// deliver uses up one credit; old says that the message may have been delivered before.
	deliver func(m *nats.Msg, old bool)

	mu       sync.Mutex
	open     int // messages requested from the server and not yet delivered
	heard    time.Time
	watchdog *time.Timer
	pause    time.Duration      // before the next request after a refusal
	recovery context.CancelFunc // cancels the recovery under way; nil without one
	closed   bool
	fault    error     // why nothing is delivered; nil if all is well
	since    time.Time // when the fault began
	told     bool      // the fault is logged, or left out of the log
	lines    engine.Spells

	// fence is the last sequence of the stream when this puller made its first request, or its
	// first request after a server was lost or this process was frozen. A server that restarts
	// forgets which messages it had delivered, and even some acknowledgements. So every message
	// up to the fence may be old, whatever its delivery count says.
	fence uint64
}

// unknownFence makes every message count as old.
const unknownFence = math.MaxUint64

// pull starts a puller.
func (s *Store) pull(ctx context.Context, src layout.Source, credit func() int, deliver func(*nats.Msg, bool)) (*puller, error) {
	p := &puller{s: s, source: src, inbox: s.rpc.Conn.NewInbox(), credit: credit, deliver: deliver}
	if err := p.raiseFence(ctx); err != nil {
		return nil, err
	}
	if err := s.rpc.Usable(ctx); err != nil {
		return nil, err
	}
	sub, err := s.rpc.Conn.Subscribe(p.inbox, p.received)
	if err != nil {
		return nil, err
	}
	p.sub = sub
	if err := sub.SetPendingLimits(-1, -1); err != nil { // the credit limits it
		_ = sub.Unsubscribe()
		return nil, err
	}
	p.watchdog = time.AfterFunc(s.pullSilence(), p.watch)
	s.mu.Lock()
	s.pullers[p] = struct{}{}
	s.mu.Unlock()
	return p, nil
}

// more requests messages for the unused credit. It waits while the open requests cover more
// than the missing messages, so that many small requests become one: the server fills the open
// ones first anyway.
func (p *puller) more() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ask()
}

// ask is more for a caller that holds the lock.
func (p *puller) ask() {
	missing := p.credit() - p.open
	if p.closed || p.recovery != nil || missing <= 0 || missing < p.open {
		return
	}
	if p.open == 0 {
		p.heard = time.Now()
		p.watchdog.Reset(p.s.pullSilence())
	}
	body := fmt.Appendf(nil, `{"batch":%d,"expires":%d}`, missing, p.s.ns.PullExpiry().Nanoseconds())
	err := p.s.rpc.Pull(p.source.Stream, p.source.Consumer, p.inbox, body)
	if err != nil {
		return // not connected: restart asks once there is a connection
	}
	p.open += missing
}

// received handles a message or the status of a pull.
func (p *puller) received(m *nats.Msg) {
	status := ""
	if m.Reply == "" { // every message has a reply subject, whatever its headers are
		status = m.Header.Get("Status")
	}
	p.mu.Lock()
	p.heard = time.Now()
	switch status {
	case "": // a message
		p.open = max(p.open-1, 0)
		p.pause = 0
		p.works()
		about := meta(m.Reply)
		old := about.deliveries > 1 || about.sequence <= p.fence || p.s.wasFrozen(p.heard)
		p.mu.Unlock()
		p.deliver(m, old)
		p.more()
		return
	case "408", "404": // the pull ended normally
		p.works()
		p.ended(m)
		p.ask()
	default: // 409 and 503: the leader, the consumer or the server has changed
		p.ended(m)
		description := m.Header.Get("Description")
		if description == "Server Shutdown" {
			// The shutdown takes some time; the connection reports when there is another
			// server.
			p.pause = rpc.LastPause
		}
		if !p.told { // otherwise a better reason is known already
			p.fails(fmt.Errorf("the server ended a pull: %s", strings.TrimSpace(status+" "+description)), !passing[description])
		}
		p.askLater()
	}
	p.mu.Unlock()
}

// passing has the descriptions of pulls that end because the consumer gets another leader.
var passing = map[string]bool{"Server Shutdown": true, "Leadership Change": true}

// fails notes why nothing is delivered, and logs it if worth says so.
func (p *puller) fails(err error, worth bool) {
	if p.fault == nil {
		p.since = time.Now()
	}
	p.fault = err
	if !worth || p.closed {
		return
	}
	p.told = true
	if tell, left := p.lines.Fails(time.Now()); tell {
		p.s.log.Warn("can't take messages, trying again", withLeft(left, "stream", p.source.Stream, "consumer", p.source.Consumer, "error", err)...)
	}
}

// works notes that messages are delivered again.
func (p *puller) works() {
	if p.fault == nil {
		return
	}
	if p.lines.Ends() {
		p.s.log.Info("taking messages again", "stream", p.source.Stream, "consumer", p.source.Consumer, "after", time.Since(p.since))
	}
	p.fault, p.told = nil, false
}

// disconnected notes that the connection is lost.
func (p *puller) disconnected() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fails(rpc.ErrDisconnected, false) // the loss of the connection is logged elsewhere
}

// ended subtracts the messages that a finished pull has not delivered.
func (p *puller) ended(m *nats.Msg) {
	left, err := strconv.Atoi(m.Header.Get("Nats-Pending-Messages"))
	if err != nil {
		left = p.open // the server does not say how many: request all of them again
	}
	p.open = max(p.open-left, 0)
}

// askLater makes a new request after a pause, which grows while nothing is delivered. Before,
// it checks the consumer, which may be gone, and reads the fence from the stream. Until the
// fence is known, every message counts as old.
func (p *puller) askLater() {
	if p.recovery != nil || p.closed {
		return
	}
	p.pause = min(max(2*p.pause, rpc.FirstPause), 2*rpc.LastPause)
	p.fence = unknownFence
	ctx, cancel := context.WithTimeout(context.Background(), p.pause+rpc.Patience)
	p.recovery = cancel
	time.AfterFunc(p.pause, func() {
		defer cancel()
		err := p.recover(ctx)
		p.mu.Lock()
		defer p.mu.Unlock()
		if errors.Is(ctx.Err(), context.Canceled) {
			return // restart has begun another recovery
		}
		p.recovery = nil
		if err == nil {
			p.works()
		} else {
			p.fails(err, p.s.rpc.Conn.IsConnected())
		}
		p.ask()
		if err != nil {
			p.askLater()
		}
	})
}

func (p *puller) recover(ctx context.Context) error {
	if err := p.s.makeConsumer(ctx, p.source); err != nil {
		return err
	}
	return p.raiseFence(ctx)
}

func (p *puller) raiseFence(ctx context.Context) error {
	info, err := p.s.rpc.StreamInfo(ctx, p.source.Stream)
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fence = info.State.LastSeq
	return nil
}

// watch detects that pulls were lost silently.
func (p *puller) watch() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || p.open == 0 {
		return // ask sets the watchdog again
	}
	if silent := time.Since(p.heard); silent < p.s.pullSilence() {
		p.watchdog.Reset(p.s.pullSilence() - silent)
		return
	}
	p.open = 0
	p.fails(rpc.ErrNoAnswer, false) // if the recovery fails, it logs that
	p.askLater()
}

// restart requests everything again over a new connection: requests over the lost connection
// are lost, and so is a recovery.
func (p *puller) restart() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.giveUpRecovery()
	p.open, p.pause = 0, 0
	p.askLater()
}

// thawed raises the fence: messages on their way may have been delivered before this process
// was frozen, and another executor may hold them by now.
func (p *puller) thawed() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.giveUpRecovery() // a recovery under way may have read the fence too early
	p.askLater()
}

func (p *puller) giveUpRecovery() {
	if p.recovery != nil {
		p.recovery()
		p.recovery = nil
	}
}

// stop makes no more requests. Messages that were requested may still come until the pull ends.
// The subscription stays until then, so that they can be returned at once.
func (p *puller) stop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return
	}
	p.closed = true
	if p.open == 0 {
		go p.unsubscribe()
		return
	}
	p.watchdog.Stop()
	p.watchdog = time.AfterFunc(p.s.ns.PullExpiry(), p.unsubscribe)
}

func (p *puller) unsubscribe() {
	p.mu.Lock()
	p.closed = true
	if p.recovery != nil {
		p.recovery()
	}
	p.watchdog.Stop()
	p.mu.Unlock()
	_ = p.sub.Unsubscribe() // fails only if the connection is closed already
	p.s.mu.Lock()
	delete(p.s.pullers, p)
	p.s.mu.Unlock()
}
