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
)

// A pull waits on the server for messages for half of the lease, and 20 s at most. The
// server delivers into it however long its executor has been frozen. What such an executor
// has in hand comes back two thirds of a lease after it froze, at the earliest, since it
// was extended a third before, and must find no pull of it open. It is also by their ends
// that pulls show that they are still there: an idle feed makes a request each time.
const longestPull = 20 * time.Second

// pullExpiry is how long a pull waits.
func (s *Store) pullExpiry() time.Duration { return min(s.config.Lease/2, longestPull) }

// pullSilence is how long a feed that waits hears nothing before it takes its pulls for
// lost and asks anew: the server has had an answer's time to say that they are over.
func (s *Store) pullSilence() time.Duration { return s.pullExpiry() + answerTimeout }

// A puller asks one consumer for as many messages as its feed has credit for,
// over one subscription, and hands them on as they come. The client's own
// consuming calls ask for batches that they fill up again by themselves; an
// executor may hold no more than it has slots for.
type puller struct {
	s      *Store
	source source
	sub    *nats.Subscription
	inbox  string
	credit func() int // how many messages the feed wants in all
	// deliver takes a message off the credit; old says that it may have been
	// delivered before.
	deliver func(m *nats.Msg, old bool)

	mu       sync.Mutex
	open     int // asked of the server and not yet delivered
	heard    time.Time
	watchdog *time.Timer
	pause    time.Duration      // before asking again after a refusal
	recovery context.CancelFunc // of the recovery under way; nil without one
	closed   bool
	fault    error     // what keeps it from delivering; nil if nothing does
	since    time.Time // of the fault
	told     bool      // the fault is logged, or left out of the log
	lines    engine.Spells

	// fence is the last sequence of the stream when this puller began to ask, or
	// asked anew after a server was lost or this process was frozen. A server that restarts forgets which
	// messages it had delivered, and even some of those that were put down, so all
	// up to the fence may be old, whatever their count says.
	fence uint64
}

// unknownFence takes all messages for old.
const unknownFence = math.MaxUint64

// pull starts a puller.
func (s *Store) pull(ctx context.Context, src source, credit func() int, deliver func(*nats.Msg, bool)) (*puller, error) {
	p := &puller{s: s, source: src, inbox: s.nc.NewInbox(), credit: credit, deliver: deliver}
	if err := p.raiseFence(ctx); err != nil {
		return nil, err
	}
	if err := s.usable(ctx); err != nil {
		return nil, err
	}
	sub, err := s.nc.Subscribe(p.inbox, p.received)
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

// more asks for what there is credit for and that has not been asked for. As
// long as more is open than missing it waits, so that many small requests become
// one: what is open is delivered first in any case.
func (p *puller) more() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ask()
}

// ask is more with the lock held.
func (p *puller) ask() {
	missing := p.credit() - p.open
	if p.closed || p.recovery != nil || missing <= 0 || missing < p.open {
		return
	}
	if p.open == 0 {
		p.heard = time.Now()
		p.watchdog.Reset(p.s.pullSilence())
	}
	body := fmt.Appendf(nil, `{"batch":%d,"expires":%d}`, missing, p.s.pullExpiry().Nanoseconds())
	err := p.s.nc.PublishRequest(p.s.apiName+"CONSUMER.MSG.NEXT."+p.source.stream+"."+p.source.consumer, p.inbox, body)
	if err != nil {
		return // not connected: restart asks when it is again
	}
	p.open += missing
}

// received takes what came: a message, or the state of a pull.
func (p *puller) received(m *nats.Msg) {
	status := ""
	if m.Reply == "" { // a message has one, whatever its headers are
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
	case "408", "404": // it is over; nothing is wrong
		p.works()
		p.ended(m)
		p.ask()
	default: // 409 and 503: a change of leader, of the consumer, of the server
		p.ended(m)
		description := m.Header.Get("Description")
		if description == "Server Shutdown" {
			// It takes its time for that; the connection tells when there is another.
			p.pause = lastPause
		}
		if !p.told { // otherwise it is known why, and better than this says
			p.fails(fmt.Errorf("the server ended a pull: %s", strings.TrimSpace(status+" "+description)), !passing[description])
		}
		p.askLater()
	}
	p.mu.Unlock()
}

// passing are the ends of pulls that are over as soon as the consumer has another leader.
var passing = map[string]bool{"Server Shutdown": true, "Leadership Change": true}

// fails notes what keeps the puller from delivering, and logs it if it is worth that.
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
		p.s.log.Warn("can't take messages: it is tried again", withLeft(left, "stream", p.source.stream, "consumer", p.source.consumer, "error", err)...)
	}
}

// works notes that nothing does.
func (p *puller) works() {
	if p.fault == nil {
		return
	}
	if p.lines.Ends() {
		p.s.log.Info("messages are taken again", "stream", p.source.stream, "consumer", p.source.consumer, "after", time.Since(p.since))
	}
	p.fault, p.told = nil, false
}

// disconnected notes that there is no connection.
func (p *puller) disconnected() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fails(errDisconnected, false) // the connection is logged by itself
}

// ended takes off what a pull that is over has not delivered.
func (p *puller) ended(m *nats.Msg) {
	left, err := strconv.Atoi(m.Header.Get("Nats-Pending-Messages"))
	if err != nil {
		left = p.open // it does not say: ask for everything again
	}
	p.open = max(p.open-left, 0)
}

// askLater asks again after a pause, which grows while nothing is delivered, and
// after a look at the consumer, which may be gone, and at the stream, for the
// fence. What comes until the fence is known is taken for old.
func (p *puller) askLater() {
	if p.recovery != nil || p.closed {
		return
	}
	p.pause = min(max(2*p.pause, firstPause), 2*lastPause)
	p.fence = unknownFence
	ctx, cancel := context.WithTimeout(context.Background(), p.pause+Patience)
	p.recovery = cancel
	time.AfterFunc(p.pause, func() {
		defer cancel()
		err := p.recover(ctx)
		p.mu.Lock()
		defer p.mu.Unlock()
		if errors.Is(ctx.Err(), context.Canceled) {
			return // restart has begun another
		}
		p.recovery = nil
		if err == nil {
			p.works()
		} else {
			p.fails(err, p.s.nc.IsConnected())
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
	info, err := p.s.streamInfo(ctx, p.source.stream)
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fence = info.State.LastSeq
	return nil
}

// watch finds out that pulls were lost without a word.
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
	p.fails(errNoAnswer, false) // the recovery tells, if it does not succeed
	p.askLater()
}

// restart asks for everything again, over a new connection: what was asked for
// over the lost one, a recovery included, is lost.
func (p *puller) restart() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.giveUpRecovery()
	p.open, p.pause = 0, 0
	p.askLater()
}

// thawed raises the fence: what is on its way may have been delivered before this process
// was frozen, and be somebody else's by now.
func (p *puller) thawed() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.giveUpRecovery() // one that is under way may have read the fence before
	p.askLater()
}

func (p *puller) giveUpRecovery() {
	if p.recovery != nil {
		p.recovery()
		p.recovery = nil
	}
}

// stop ends the asking. What was asked for may still come, for as long as a pull
// lasts; the subscription stays for it, so that it can be handed back at once.
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
	p.watchdog = time.AfterFunc(p.s.pullExpiry(), p.unsubscribe)
}

func (p *puller) unsubscribe() {
	p.mu.Lock()
	p.closed = true
	if p.recovery != nil {
		p.recovery()
	}
	p.watchdog.Stop()
	p.mu.Unlock()
	_ = p.sub.Unsubscribe() // fails only where the connection is closed already
	p.s.mu.Lock()
	delete(p.s.pullers, p)
	p.s.mu.Unlock()
}
