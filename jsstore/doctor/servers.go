package doctor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/durable-execution/durable/jsstore"
)

// maxServers is how many servers the doctor connects to.
const maxServers = 16

// A ServerSeen is a server of the cluster and what it reports about itself.
type ServerSeen struct {
	Name, ID, Version, Cluster, URL string
	// Ahead is how far the server's clock is ahead of ours, and Give is the error of that
	// measurement; Give is zero if the server's clock is unknown.
	Ahead, Give time.Duration
	MaxPayload  int64
	// Sync says how the server syncs; nil if the server does not report it.
	Sync *jsstore.Sync
	// Failure says why the server could not be asked; empty if it was.
	Failure string
}

// serverInfo is what servers report about themselves in every answer of the system account.
type serverInfo struct {
	Name    string    `json:"name"`
	ID      string    `json:"id"`
	Cluster string    `json:"cluster"`
	Version string    `json:"ver"`
	Time    time.Time `json:"time"`
}

// varz has the fields of a server's answer to VARZ that matter here.
type varz struct {
	ID         string    `json:"server_id"`
	Name       string    `json:"server_name"`
	Version    string    `json:"version"`
	MaxPayload int64     `json:"max_payload"`
	Now        time.Time `json:"now"`
	Cluster    struct {
		Name string `json:"name"`
	} `json:"cluster"`
	JetStream struct {
		Config *struct {
			StoreDir     string        `json:"store_dir"`
			SyncInterval time.Duration `json:"sync_interval"`
			SyncAlways   bool          `json:"sync_always"`
		} `json:"config"`
	} `json:"jetstream"`
}

func (e *examiner) examineServers(ctx context.Context) error {
	info, err := ask(ctx, e.Timeout, e.rpc.JS.AccountInfo)
	switch {
	case errors.Is(err, jetstream.ErrJetStreamNotEnabled), errors.Is(err, jetstream.ErrJetStreamNotEnabledForAccount):
		return fmt.Errorf("%w (a line `jetstream {}` in the server's configuration enables it)", err)
	case err != nil:
		e.find(Problem, "server.jetstream", "", "JetStream does not answer: "+err.Error(),
			"if the cluster has lost its majority, nothing can be created, and streams without a majority of their replicas accept nothing",
			"start the servers that are down; nats server report jetstream, with the system account, shows which")
	}
	e.account = info // nil without an answer
	e.Servers = []ServerSeen{seen(ctx, e.rpc.Conn, e.Timeout)}
	e.otherServers(ctx)
	e.askHowTheyWrite(ctx)
	e.judgeVersions()
	e.judgeAccount()
	e.judgePayload()
	e.judgeSync()
	e.judgeClocks()
	return nil
}

// seen asks the server at the other end of a connection about itself.
func seen(ctx context.Context, nc *nats.Conn, timeout time.Duration) ServerSeen {
	s := ServerSeen{
		Name: nc.ConnectedServerName(), ID: nc.ConnectedServerId(), Version: nc.ConnectedServerVersion(),
		Cluster: nc.ConnectedClusterName(), URL: jsstore.Redact(nc.ConnectedUrl()), MaxPayload: nc.MaxPayload(),
	}
	asked := time.Now()
	m, err := ask(ctx, timeout, func(ctx context.Context) (*nats.Msg, error) {
		return nc.RequestMsgWithContext(ctx, &nats.Msg{Subject: "$SYS.REQ.USER.INFO"})
	})
	var answer struct {
		Server serverInfo `json:"server"`
	}
	if err == nil && json.Unmarshal(m.Data, &answer) == nil && !answer.Server.Time.IsZero() {
		s.clock(asked, time.Now(), answer.Server.Time)
	}
	return s
}

// label returns the server's name for people. If the name is only the id, label returns the
// URL.
func (s ServerSeen) label() string {
	if s.Name == s.ID && s.URL != "" {
		return s.URL
	}
	return s.Name
}

// clock notes the time that the server's clock showed between asked and answered.
func (s *ServerSeen) clock(asked, answered, showed time.Time) {
	half := answered.Sub(asked) / 2
	s.Ahead, s.Give = showed.Sub(asked.Add(half)), half+time.Millisecond
}

// otherServers connects to the other servers that the client knows.
func (e *examiner) otherServers(ctx context.Context) {
	if e.rpc.Conn.Opts.InProcessServer != nil {
		return
	}
	user := (*url.Userinfo)(nil)
	if u, err := url.Parse(e.rpc.Conn.ConnectedUrl()); err == nil {
		user = u.User
	}
	known := map[string]bool{jsstore.Redact(e.rpc.Conn.ConnectedUrl()): true}
	for _, one := range e.rpc.Conn.Servers() {
		u, err := url.Parse(one)
		if err != nil || known[u.Host] || len(e.Servers) == maxServers {
			continue
		}
		known[u.Host] = true
		if u.User == nil {
			u.User = user
		}
		s := e.visit(ctx, u)
		if !slices.ContainsFunc(e.Servers, func(o ServerSeen) bool { return s.ID != "" && o.ID == s.ID }) {
			e.Servers = append(e.Servers, s)
		}
	}
}

func (e *examiner) visit(ctx context.Context, u *url.URL) ServerSeen {
	o := e.rpc.Conn.Opts
	o.Url, o.Servers, o.AllowReconnect, o.RetryOnFailedConnect, o.Timeout = u.String(), nil, false, false, e.Timeout
	// The caller's callbacks belong to the caller's connection, not to this one.
	o.ConnectedCB, o.ClosedCB, o.DisconnectedErrCB, o.ReconnectedCB, o.DiscoveredServersCB, o.LameDuckModeHandler = nil, nil, nil, nil, nil, nil
	o.AsyncErrorCB = func(*nats.Conn, *nats.Subscription, error) {}
	nc, err := o.Connect()
	if err != nil {
		return ServerSeen{URL: u.Host, Failure: err.Error()}
	}
	defer nc.Close()
	return seen(ctx, nc, e.Timeout)
}

// askHowTheyWrite asks everyone who may know how the servers sync files to the disk.
func (e *examiner) askHowTheyWrite(ctx context.Context) {
	if e.Sync != nil {
		e.Servers[0].Sync = e.Sync
	}
	system := e.System
	if system == nil {
		system = e.rpc.Conn
	}
	e.askSystem(ctx, system)
	for _, monitor := range e.Monitors {
		e.askMonitor(ctx, monitor)
	}
}

// askSystem asks all servers at once. They answer only a user of the system account.
func (e *examiner) askSystem(ctx context.Context, nc *nats.Conn) {
	sub, err := nc.SubscribeSync(nc.NewInbox())
	if err != nil {
		return
	}
	defer func() { _ = sub.Unsubscribe() }() // fails only on a closed connection
	asked := time.Now()
	if nc.PublishRequest("$SYS.REQ.SERVER.PING.VARZ", sub.Subject, nil) != nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	for {
		m, err := sub.NextMsgWithContext(ctx)
		if err != nil {
			return // nobody answers, or everybody has answered
		}
		var answer struct {
			Server serverInfo `json:"server"`
			Data   *varz      `json:"data"`
		}
		if json.Unmarshal(m.Data, &answer) == nil && answer.Data != nil {
			e.heard(*answer.Data, asked, answer.Server.Time)
		}
	}
}

func (e *examiner) askMonitor(ctx context.Context, monitor string) {
	asked := time.Now()
	v, err := ask(ctx, e.Timeout, func(ctx context.Context) (v varz, err error) {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(monitor, "/")+"/varz", nil)
		if err != nil {
			return v, err
		}
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			return v, err
		}
		defer answer.Body.Close()
		if answer.StatusCode != http.StatusOK {
			return v, fmt.Errorf("GET /varz: %s", answer.Status)
		}
		return v, json.NewDecoder(answer.Body).Decode(&v)
	})
	if err != nil {
		shown := monitor
		if quotes := (*url.Error)(nil); errors.As(err, &quotes) {
			err = quotes.Err // without the URL, which may contain a password
		}
		if strings.ContainsAny(monitor, "@?#") {
			shown = jsstore.Redact(monitor)
		}
		e.find(Warning, "server.monitor", shown, "the monitoring port does not answer: "+err.Error(),
			"it stays unknown how the server writes to the disk", "a line `http: 127.0.0.1:8222` in the server's configuration opens it; --monitor wants its URL")
		return
	}
	e.heard(v, asked, v.Now)
}

// heard notes what a server reports about itself.
func (e *examiner) heard(v varz, asked, showed time.Time) {
	i := slices.IndexFunc(e.Servers, func(s ServerSeen) bool { return s.ID == v.ID })
	if i < 0 {
		e.Servers = append(e.Servers, ServerSeen{Name: v.Name, ID: v.ID, Version: v.Version, Cluster: v.Cluster.Name})
		i = len(e.Servers) - 1
	}
	s := &e.Servers[i]
	s.MaxPayload = v.MaxPayload
	if c := v.JetStream.Config; c != nil {
		s.Sync = &jsstore.Sync{Always: c.SyncAlways, Interval: c.SyncInterval, StoreDir: c.StoreDir}
	}
	if s.Give == 0 && !showed.IsZero() {
		s.clock(asked, time.Now(), showed)
	}
}
