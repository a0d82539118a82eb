package jstest

import (
	"testing"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

// A Guarded is a server that asks for a password. Its configuration can be changed while it
// runs, as by a reload.
type Guarded struct {
	t       testing.TB
	server  *server.Server
	options *server.Options
}

// The user of a Guarded server, and the initial password.
const (
	GuardedUser     = "user"
	GuardedPassword = "right"
)

// Guard starts a server that asks for a password, with a port on loopback. changes configure it
// further.
func Guard(t testing.TB, changes ...func(*server.Options)) *Guarded {
	t.Helper()
	g := &Guarded{t: t, options: &server.Options{
		Host: "127.0.0.1", Port: server.RANDOM_PORT, JetStream: true, StoreDir: t.TempDir(), NoSigs: true, NoLog: true,
		Username: GuardedUser, Password: GuardedPassword, MaxPayload: 1 << 20,
	}}
	for _, change := range changes {
		change(g.options)
	}
	g.server = Start(t, g.options.Clone())
	return g
}

// Start starts a server with these options, and returns it once it accepts connections.
func Start(t testing.TB, o *server.Options) *server.Server {
	t.Helper()
	s, err := server.NewServer(o)
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() {
		s.Shutdown()
		s.WaitForShutdown()
	})
	if !s.ReadyForConnections(patience) {
		t.Fatal("the server does not accept connections")
	}
	return s
}

// URL returns the address for clients, with the initial password.
func (g *Guarded) URL() string {
	return "nats://" + GuardedUser + ":" + GuardedPassword + "@" + g.server.Addr().String()
}

// Reload changes the configuration.
func (g *Guarded) Reload(change func(*server.Options)) {
	g.t.Helper()
	change(g.options)
	if err := g.server.ReloadOptions(g.options.Clone()); err != nil {
		g.t.Fatal(err)
	}
}

// SetPassword changes the password. The server disconnects clients that have used another one.
func (g *Guarded) SetPassword(password string) {
	g.t.Helper()
	g.Reload(func(o *server.Options) { o.Password = password })
}

// Await waits until nc has the status.
func Await(t testing.TB, nc *nats.Conn, want nats.Status) {
	t.Helper()
	await(t, "the connection is "+want.String(), func() bool { return nc.Status() == want })
}
