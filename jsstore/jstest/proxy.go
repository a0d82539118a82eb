package jstest

import (
	"net"
	"strings"
	"sync"
	"testing"
	"time"
)

// A Link is a network between clients and a server that fails on demand.
type Link struct {
	t      testing.TB
	addr   string
	user   string // of the target's URL, with its password and an @; empty without
	target string
	all    sync.WaitGroup // every goroutine of the link

	mu       sync.Mutex
	listener net.Listener // nil while cut
	wires    map[*wire]bool
	flows    chan struct{} // closed while the link passes bytes on
	delay    time.Duration
}

// Proxy returns a link to the target (a URL, or a host and port), which works until a method
// makes it fail. Clients connect to the link's URL, which has the user and the password of the
// target. If a server told them about other servers, they would bypass the link; the servers of a
// [Cluster] do not.
func Proxy(t testing.TB, target string) *Link {
	t.Helper()
	target = strings.TrimPrefix(target, "nats://")
	at := strings.LastIndex(target, "@") + 1
	l := &Link{
		t:      t,
		addr:   ports(t, 1)[0].String(),
		user:   target[:at],
		target: target[at:],
		wires:  map[*wire]bool{},
		flows:  make(chan struct{}),
	}
	close(l.flows)
	l.Heal()
	t.Cleanup(func() {
		l.Cut()
		l.all.Wait()
	})
	return l
}

// URL returns the address for clients.
func (l *Link) URL() string { return "nats://" + l.user + l.addr }

// Cut closes every connection and refuses new ones.
func (l *Link) Cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.listener != nil {
		_ = l.listener.Close()
		l.listener = nil
	}
	for w := range l.wires {
		w.close()
	}
}

// Stall stops passing bytes on in both directions and closes nothing: to both sides it looks
// like a slow peer. Bytes on their way wait for Heal.
func (l *Link) Stall() {
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case <-l.flows:
		l.flows = make(chan struct{})
	default: // stalled already
	}
}

// Slow delays bytes that are sent from now on, by d in each direction.
func (l *Link) Slow(d time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.delay = d
}

// Heal undoes Cut, Stall and Slow. Cut connections stay closed.
func (l *Link) Heal() {
	l.t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.delay = 0
	select {
	case <-l.flows:
	default:
		close(l.flows)
	}
	if l.listener != nil {
		return
	}
	listener, err := net.Listen("tcp", l.addr)
	if err != nil {
		l.t.Fatal(err)
	}
	l.listener = listener
	l.all.Go(func() { l.accept(listener) })
}

func (l *Link) accept(listener net.Listener) {
	for {
		client, err := listener.Accept()
		if err != nil {
			return // cut
		}
		l.all.Go(func() { l.connect(listener, client) })
	}
}

// connect passes bytes between client and target until one of them closes.
func (l *Link) connect(listener net.Listener, client net.Conn) {
	target, err := net.Dial("tcp", l.target)
	if err != nil {
		_ = client.Close()
		return
	}
	w := &wire{link: l, ends: [2]net.Conn{client, target}, done: make(chan struct{})}
	defer w.close()
	if !l.add(w, listener) {
		return
	}
	defer l.remove(w)
	l.all.Go(func() { w.pass(target, client) })
	w.pass(client, target)
}

// add registers w, so that Cut closes it. It returns false if the listener of w has been cut
// meanwhile.
func (l *Link) add(w *wire, listener net.Listener) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.listener != listener {
		return false
	}
	l.wires[w] = true
	return true
}

func (l *Link) remove(w *wire) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.wires, w)
}

// flowing returns a channel that is closed while the link passes bytes on.
func (l *Link) flowing() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.flows
}

func (l *Link) latency() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.delay
}
