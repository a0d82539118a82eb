package jsstore

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

const (
	// pullExpiry is how long a pull waits on the server for messages. An idle feed
	// makes one request in this time.
	pullExpiry = 60 * time.Second
	// pullHeartbeat is how often a waiting pull shows that it is still there. A
	// feed that has heard nothing for two of them asks anew.
	pullHeartbeat = 10 * time.Second
)

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

	// fence is the last sequence of the stream when this puller began to ask, or
	// asked anew after a server was lost. A server that restarts forgets which
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
	sub, err := s.nc.Subscribe(p.inbox, p.received)
	if err != nil {
		return nil, err
	}
	p.sub = sub
	if err := sub.SetPendingLimits(-1, -1); err != nil { // the credit limits it
		return nil, err
	}
	p.watchdog = time.AfterFunc(2*pullHeartbeat, p.watch)
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
		p.watchdog.Reset(2 * pullHeartbeat)
	}
	body, _ := json.Marshal(map[string]int64{
		"batch": int64(missing), "expires": int64(pullExpiry), "idle_heartbeat": int64(pullHeartbeat),
	})
	err := p.s.nc.PublishRequest(p.s.apiName+"CONSUMER.MSG.NEXT."+p.source.stream+"."+p.source.consumer, p.inbox, body)
	if err != nil {
		return // not connected: restart asks when it is again
	}
	p.open += missing
}

// received takes what came: a message, or the state of a pull.
func (p *puller) received(m *nats.Msg) {
	status := ""
	if len(m.Data) == 0 {
		status = m.Header.Get("Status")
	}
	p.mu.Lock()
	p.heard = time.Now()
	switch status {
	case "": // a message
		p.open = max(p.open-1, 0)
		p.pause = 0
		about := meta(m.Reply)
		old := about.deliveries > 1 || about.sequence <= p.fence
		p.mu.Unlock()
		p.deliver(m, old)
		p.more()
		return
	case "100": // the pull is alive
	case "408", "404": // it is over; nothing is wrong
		p.ended(m)
		p.ask()
	default: // 409 and 503: a change of leader, of the consumer, of the server
		p.ended(m)
		if m.Header.Get("Description") == "Server Shutdown" {
			// It takes its time for that; the connection tells when there is another.
			p.pause = lastPause
		}
		p.askLater()
	}
	p.mu.Unlock()
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
	ctx, cancel := context.WithTimeout(context.Background(), p.pause+patience)
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
	return manage(ctx, func(ctx context.Context) error {
		st, err := p.s.js.Stream(ctx, p.source.stream)
		if err != nil {
			return err
		}
		p.mu.Lock()
		defer p.mu.Unlock()
		p.fence = st.CachedInfo().State.LastSeq
		return nil
	})
}

// watch finds out that pulls were lost without a word.
func (p *puller) watch() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || p.open == 0 {
		return // ask sets the watchdog again
	}
	if silent := time.Since(p.heard); silent < 2*pullHeartbeat {
		p.watchdog.Reset(2*pullHeartbeat - silent)
		return
	}
	p.open = 0
	p.askLater()
}

// restart asks for everything again, over a new connection: what was asked for
// over the lost one, a recovery included, is lost.
func (p *puller) restart() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.recovery != nil {
		p.recovery()
		p.recovery = nil
	}
	p.open, p.pause = 0, 0
	p.askLater()
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
	p.watchdog = time.AfterFunc(pullExpiry, p.unsubscribe)
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
