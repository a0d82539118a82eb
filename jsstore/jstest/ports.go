package jstest

import (
	"net"
	"net/netip"
	"os"
	"sync/atomic"
	"testing"
)

// Ports that are closed and opened again must lie below the range of outgoing connections (from
// 32768 on Linux, 49152 elsewhere). In that range another program may take a port while it is
// closed, for instance a client that dials this very port and connects to itself.
const firstPort, portCount = 20000, 10000

// Test binaries that run at the same time start at different ports.
var lastPort = func() *atomic.Int64 {
	n := new(atomic.Int64)
	n.Store(int64(os.Getpid()) * 64)
	return n
}()

var loopback = netip.AddrFrom4([4]byte{127, 0, 0, 1})

// ports returns n loopback addresses on which nobody listens.
func ports(t testing.TB, n int) []netip.AddrPort {
	t.Helper()
	var free []netip.AddrPort
	for range portCount {
		if len(free) == n {
			return free
		}
		addr := netip.AddrPortFrom(loopback, uint16(firstPort+lastPort.Add(1)%portCount))
		if l, err := net.Listen("tcp", addr.String()); err == nil {
			_ = l.Close()
			free = append(free, addr)
		}
	}
	t.Fatalf("no %d free ports from %d on", n, firstPort)
	return nil
}
