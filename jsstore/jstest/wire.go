package jstest

import (
	"net"
	"sync"
	"time"
)

// A wire is one connection through a Link.
type wire struct {
	link *Link
	ends [2]net.Conn
	once sync.Once
	done chan struct{} // closed when the wire is closed
}

// A chunk is the result of one read, at most 32 KiB. An empty chunk marks the end.
type chunk struct {
	data []byte
	due  time.Time
}

// pass passes the bytes of from on to to, each chunk when it is due and the link flows, and
// closes the wire when from ends. It reads on meanwhile, so a delay costs latency and not
// throughput.
func (w *wire) pass(from, to net.Conn) {
	defer w.close()
	chunks := make(chan chunk, 64) // this many chunks on their way, then the sender waits
	w.link.all.Go(func() { w.read(from, chunks) })
	for {
		select {
		case c := <-chunks:
			if !w.wait(c.due) || len(c.data) == 0 {
				return
			}
			if _, err := to.Write(c.data); err != nil {
				return
			}
		case <-w.done:
			return
		}
	}
}

func (w *wire) read(from net.Conn, chunks chan<- chunk) {
	for {
		buf := make([]byte, 32<<10)
		n, err := from.Read(buf) // for TCP, n is 0 if there is an error
		select {
		case chunks <- chunk{buf[:n], time.Now().Add(w.link.latency())}:
		case <-w.done:
			return
		}
		if err != nil {
			return
		}
	}
}

// wait returns true at the time due or, if the link is stalled then, when the stall is over. It
// returns false if the wire is closed first.
func (w *wire) wait(due time.Time) bool {
	timer := time.NewTimer(time.Until(due))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-w.done:
		return false
	}
	select {
	case <-w.link.flowing():
		return true
	case <-w.done:
		return false
	}
}

func (w *wire) close() {
	w.once.Do(func() {
		close(w.done)
		for _, c := range w.ends {
			_ = c.Close()
		}
	})
}
