package doctor_test

import (
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/jsstore"
	"github.com/durable-execution/durable/jsstore/doctor"
	"github.com/durable-execution/durable/jsstore/embedded"
	"github.com/durable-execution/durable/jsstore/jstest"
)

// configured starts a server with this configuration file.
func configured(t *testing.T, config string) *server.Server {
	t.Helper()
	path := filepath.Join(t.TempDir(), "nats.conf")
	if err := os.WriteFile(path, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	o, err := server.ProcessConfigFile(path)
	if err != nil {
		t.Fatal(err)
	}
	o.NoLog, o.NoSigs = true, true
	return jstest.Start(t, o)
}

func connect(t *testing.T, s *server.Server, user string) *nats.Conn {
	t.Helper()
	nc, err := nats.Connect(s.ClientURL(), nats.UserInfo(user, user))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	return nc
}

const accounts = `
host: 127.0.0.1, port: -1, http: "127.0.0.1:-1", server_name: one
jetstream { store_dir: "%s", sync_interval: %s }
system_account: SYS
accounts {
  SYS { users: [ {user: sys, password: sys} ] }
  APP {
    jetstream { max_file: 100MB, max_streams: 5 }
    users: [ {user: app, password: app}, {user: blind, password: blind, permissions: {publish: ["none"]}} ]
  }
}`

// The server's directory belongs to the test and is below a directory for temporary files: the
// doctor reports that in all cases.
func TestHowServersWriteIsLearnedFromWhoMayAsk(t *testing.T) {
	dir := t.TempDir()
	s := configured(t, fmt.Sprintf(accounts, dir, `"2m"`))
	w := admit(t, connect(t, s, "app"))
	x := w.examine(doctor.Config{})
	w.shows(x, symptom{"server.sync", doctor.Note, "", "could not be learned"}, symptom{"account.limits", doctor.Warning, "", "streams: 4 of 5 used"})
	if !strings.Contains(strings.Join(x.Survives, " "), "which is not known here: 2 minutes unless") || x.Servers[0].Sync != nil {
		t.Errorf("survives = %q, servers = %+v", x.Survives, x.Servers)
	}
	monitor := "http://" + s.MonitorAddr().String()
	for how, c := range map[string]doctor.Config{
		"system account":  {System: connect(t, s, "sys")},
		"monitoring port": {Monitors: []string{monitor + "/"}},
	} {
		x := w.examine(c)
		w.shows(x, symptom{"server.sync", doctor.Warning, "one", "sync_interval is 2m0s"}, symptom{"server.store_dir", doctor.Warning, "one", dir})
		if len(x.Servers) != 1 || x.Servers[0].Sync == nil || x.Servers[0].Sync.Interval != 2*time.Minute {
			t.Errorf("%s: servers = %+v", how, x.Servers)
		}
		if !strings.Contains(strings.Join(x.Survives, " "), "may lose what was acknowledged in about the last 4m0s") {
			t.Errorf("%s: survives = %q", how, x.Survives)
		}
	}
	// A server that is down is not a server that does not report its sync_interval.
	two, err := nats.Connect(s.ClientURL()+",nats://127.0.0.1:1", nats.UserInfo("app", "app"), nats.DontRandomize())
	w.check(err)
	defer two.Close()
	x, err = doctor.Examine(t.Context(), two, doctor.Config{Monitors: []string{monitor}})
	w.check(err)
	w.shows(x, symptom{"server.reached", doctor.Warning, "127.0.0.1:1", "does not take a connection"})
	if !strings.Contains(strings.Join(x.Survives, " "), "in about the last 4m0s") {
		t.Errorf("with a server down: survives = %q", x.Survives)
	}
	nothing := httptest.NewServer(nil)
	defer nothing.Close()
	x = w.examine(doctor.Config{Monitors: []string{nothing.URL, "http://127.0.0.1:1", "rubbish"}})
	for _, url := range []string{nothing.URL, "http://127.0.0.1:1", "rubbish"} {
		w.shows(x, symptom{"server.monitor", doctor.Warning, url, "does not answer"})
	}
}

func TestAServerThatFlushesEachWriteLosesNothing(t *testing.T) {
	s := configured(t, fmt.Sprintf(accounts, t.TempDir(), "always"))
	w := admit(t, connect(t, s, "app"))
	x := w.examine(doctor.Config{System: connect(t, s, "sys")})
	w.shows(x, symptom{"server.sync", doctor.OK, "", "before a write is acknowledged"})
	if !slices.ContainsFunc(x.Survives, func(s string) bool { return strings.HasSuffix(s, "crash of the system: nothing is lost.") }) {
		t.Errorf("survives = %q", x.Survives)
	}
}

func TestWhatAUserMayNotAskIsSaidToBeUnknown(t *testing.T) {
	s := configured(t, fmt.Sprintf(accounts, t.TempDir(), "always"))
	w := admit(t, connect(t, s, "app"))
	start := time.Now()
	x, err := doctor.Examine(t.Context(), connect(t, s, "blind"), doctor.Config{Timeout: 300 * time.Millisecond})
	w.check(err)
	w.shows(x, symptom{"server.jetstream", doctor.Problem, "", "this user may not ask"})
	for _, stream := range []string{"durable-ready", "KV_durable-executions"} {
		w.shows(x, symptom{"stream.leader", doctor.Problem, stream, "this user may not ask"})
	}
	if took := time.Since(start); took > 10*time.Second || len(x.Survives) != 0 {
		t.Errorf("took %s, survives %q", took, x.Survives)
	}
}

func TestSmallMessagesAreFound(t *testing.T) {
	for _, c := range []struct {
		size int
		want symptom
	}{
		{64 << 10, symptom{"server.max_payload", doctor.Problem, "", "max_payload is 64 KiB; a record may need 80 KiB"}},
		{256 << 10, symptom{"server.max_payload", doctor.Warning, "", "longer than 88 KiB is stored in a message of its own"}},
		{1 << 20, symptom{"server.max_payload", doctor.OK, "", "messages of up to 1 MiB; longer inputs and outputs than 472 KiB"}},
	} {
		s, err := embedded.Start(t.Context(), embedded.Config{Dir: t.TempDir(), MaxPayload: c.size, SyncInterval: time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		nc, err := s.Connect()
		if err != nil {
			t.Fatal(err)
		}
		w := admit(t, nc)
		w.shows(w.examine(doctor.Config{}), c.want)
	}
}

func TestJetStreamThatIsNotThereIsAnError(t *testing.T) {
	s := configured(t, "host: 127.0.0.1, port: -1")
	nc, err := nats.Connect(s.ClientURL())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	if _, err := doctor.Examine(t.Context(), nc, doctor.Config{}); err == nil || !strings.Contains(err.Error(), "a line `jetstream {}`") {
		t.Errorf("error = %v, want one that says what to do", err)
	}
}

func TestAClusterIsExaminedAsAWhole(t *testing.T) {
	nodes := jstest.Cluster(t, 3)
	nc := nodes.Connect()
	one := &ward{T: t, nc: nc, s: jstest.Open(t, nc, jsstore.Config{Namespace: "one"})}
	x := one.examine(doctor.Config{Namespace: "one"})
	one.shows(x, symptom{"stream.replicas", doctor.Warning, "", "one copy of each message in a cluster of 3 servers"},
		symptom{"server.version", doctor.OK, "", "3 servers known"}, symptom{"server.clock", doctor.OK, "", "the clocks of 3 servers"})
	one.only(x, "stream.replicas")

	w := &ward{T: t, nc: nc, s: jstest.Open(t, nc, jsstore.Config{Replicas: 3})}
	var err error
	w.js, err = jetstream.New(nc)
	w.check(err)
	closes(w, func() (engine.Feed[*engine.Delivery], error) { return w.s.Claim(t.Context(), "default") })
	x = w.examine(doctor.Config{})
	w.shows(x, symptom{"stream.replicas", doctor.OK, "", "R3 in a cluster of 3"})
	w.only(x)
	if text := strings.Join(x.Survives, " "); !strings.Contains(text, "Any one server of 3 killed or cut off: nothing is lost") || !strings.Contains(text, "majority") {
		t.Errorf("survives = %q", x.Survives)
	}

	leader := nodes.Leader("durable-ready")
	down := (leader + 1) % 3
	nodes.Stop(down)
	offline := symptom{"stream.peers", doctor.Warning, "durable-ready", fmt.Sprintf("node%d is offline", down)}
	for deadline := time.Now().Add(30 * time.Second); ; { // the leader must notice its absence first
		x, err := doctor.Examine(t.Context(), nodes.Connect(), doctor.Config{})
		if err == nil && strings.Contains(told(x), offline.text) {
			w.shows(x, offline, symptom{"server.reached", doctor.Warning, strings.TrimPrefix(nodes.URL(down), "nats://"), "does not take a connection"})
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("a server is down, but the doctor found (%v)\n%s", err, told(x))
		}
	}
	w.stream("durable-control", func(c *jetstream.StreamConfig) { c.Replicas = 1 })
	x = w.examine(doctor.Config{})
	w.shows(x, symptom{"stream.replicas", doctor.Warning, "", "R1 (durable-control), R3 (KV_durable-executions, durable-ready, durable-timers)"})

	nodes.Stop((leader + 2) % 3)
	alone := nodes.Connect()
	// A leader that is cut off takes some seconds to notice.
	lost := func(f doctor.Finding) bool {
		return f.Severity == doctor.Problem && f.Subject == "durable-ready" &&
			(f.Check == "stream.leader" || f.Check == "stream.peers" && strings.Contains(f.Found, "no majority"))
	}
	for deadline := time.Now().Add(30 * time.Second); ; {
		x, err = doctor.Examine(t.Context(), alone, doctor.Config{Roll: time.Millisecond, Timeout: time.Second})
		w.check(err)
		if slices.ContainsFunc(x.Findings, lost) {
			w.shows(x)
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("two of three servers are down, but the doctor found\n%s", told(x))
		}
	}
}
