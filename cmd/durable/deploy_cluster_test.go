package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/jsstore/jstest"
)

// An authority signs certificates.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// newAuthority returns an authority, and writes its certificate to a file.
func newAuthority(t *testing.T, file string) *authority {
	t.Helper()
	a := &authority{cert: &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: file},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}}
	a.key = newKey(t)
	der, err := x509.CreateCertificate(rand.Reader, a.cert, a.cert, a.key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	writePEM(t, file, "CERTIFICATE", der)
	return a
}

// issue writes a certificate for this machine, and its key.
func (a *authority) issue(t *testing.T, certFile, keyFile string) {
	t.Helper()
	key := newKey(t)
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "localhost"},
		DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}, a.cert, key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	writePEM(t, certFile, "CERTIFICATE", der)
	if der, err = x509.MarshalPKCS8PrivateKey(key); err != nil {
		t.Fatal(err)
	}
	writePEM(t, keyFile, "PRIVATE KEY", der)
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func writePEM(t *testing.T, file, kind string, der []byte) {
	t.Helper()
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
}

// A trio is three servers of nats-cluster.conf.
type trio struct {
	options []*server.Options
	servers []*server.Server
	ca      string // the file of the CA that clients must trust
}

func cluster(t *testing.T) *trio {
	t.Helper()
	pki := t.TempDir()
	c := &trio{ca: filepath.Join(pki, "ca.pem")}
	newAuthority(t, c.ca).issue(t, filepath.Join(pki, "server.pem"), filepath.Join(pki, "server-key.pem"))
	newAuthority(t, filepath.Join(pki, "route-ca.pem")).issue(t, filepath.Join(pki, "route.pem"), filepath.Join(pki, "route-key.pem"))
	var routes []string
	for i := range 3 {
		routes = append(routes, fmt.Sprintf("nats-%d:6222", i+1), freePort(t))
	}
	for i := range 3 {
		t.Setenv("NATS_NAME", fmt.Sprint("nats-", i+1))
		t.Setenv("NATS_MONITOR", "127.0.0.1:-1")
		o := configured(t, edit(t, "nats-cluster.conf", append([]string{
			"0.0.0.0:4222", "127.0.0.1:-1", "0.0.0.0:6222", routes[2*i+1],
			"/var/lib/nats", t.TempDir(), "/etc/nats/tls/", pki + "/",
		}, routes...)...))
		if !o.SyncAlways || o.TLSConfig == nil || o.Cluster.TLSConfig.ClientAuth != tls.RequireAndVerifyClientCert {
			t.Errorf("sync always %v, TLS %v, routes are asked for a certificate %v, want all", o.SyncAlways, o.TLSConfig != nil, o.Cluster.TLSConfig.ClientAuth)
		}
		s := jstest.Start(t, o)
		// It returns at the same address.
		o.Port = s.Addr().(*net.TCPAddr).Port
		c.options, c.servers = append(c.options, o), append(c.servers, s)
	}
	c.awaitPeers(t)
	return c
}

// awaitPeers waits until the three servers have a leader.
func (c *trio) awaitPeers(t *testing.T) {
	t.Helper()
	for ctx := bounded(t); ; {
		for _, s := range c.servers {
			if len(s.JetStreamClusterPeers()) == 3 {
				return
			}
		}
		if err := pause(ctx, 20*time.Millisecond); err != nil {
			t.Fatalf("the three form no cluster: %v", err)
		}
	}
}

// url returns the URLs of all three servers, as a user types them after --server.
func (c *trio) url(t *testing.T, role string) string {
	var list []string
	for _, o := range c.options {
		list = append(list, as(t, role, fmt.Sprintf("tls://localhost:%d", o.Port)))
	}
	return strings.Join(list, ",")
}

// freePort returns a port that no program listens at. It is below the range that systems use
// for outgoing connections: see jstest.
func freePort(t *testing.T) string {
	t.Helper()
	for port := 10000 + os.Getpid()%1000*10; port < 32000; port++ {
		addr := fmt.Sprint("127.0.0.1:", port)
		if used[addr] {
			continue
		}
		if l, err := net.Listen("tcp", addr); err == nil {
			used[addr] = true
			_ = l.Close()
			return addr
		}
	}
	t.Fatal("no port is free")
	return ""
}

var used = map[string]bool{}

func TestThreeServersHoldANamespaceThatSetupMakes(t *testing.T) {
	if testing.Short() {
		t.Skip("a cluster needs sockets and elections in real time: skipped in short mode")
	}
	program, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	c, ctx := cluster(t), bounded(t)
	for _, opt := range []nats.Option{nats.Name("without TLS's authority"), nats.RootCAs(filepath.Join(filepath.Dir(c.ca), "route-ca.pem"))} {
		if nc, err := nats.Connect(c.url(t, "operator"), opt); err == nil {
			nc.Close()
			t.Error("a client takes the servers for those of another authority")
		}
	}
	cli := func(role string, args ...string) string {
		t.Helper()
		cmd := exec.CommandContext(ctx, program, append(args, "--server", c.url(t, role))...)
		cmd.Env = append(os.Environ(), "SSL_CERT_FILE="+c.ca)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("durable %v: %v\n%s", args, err, out)
		}
		return string(out)
	}
	if out := cli("operator", "setup", "--replicas", "3"); strings.Count(out, "3 replicas") != 4 {
		t.Errorf("setup says\n%s\nwant 4 streams with 3 replicas", out)
	}
	if out := cli("operator", "setup"); !strings.Contains(out, "0 made, 0 changed, 10 found") || strings.Count(out, "3 replicas") != 4 {
		t.Errorf("the second setup prints\n%s\nwant no change", out)
	}
	o := employ(t, c.url(t, "executor"), nats.RootCAs(c.ca))
	app := apply(t, c.url(t, "application"), nats.RootCAs(c.ca))
	work := func(id string) {
		t.Helper()
		h, err := greet.Enqueue(ctx, app, []string{"hello", "world"}, engine.ID(id))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := h.Wait(ctx); err != nil || got != "HELLO WORLD" {
			t.Errorf("greet = %q, %v, want HELLO WORLD", got, err)
		}
	}
	work("with-three")
	c.servers[2].Shutdown()
	c.servers[2].WaitForShutdown()
	work("with-two")
	c.servers[2] = jstest.Start(t, c.options[2])
	work("with-three-again")
	if out := cli("viewer", "list", "--roots"); !strings.Contains(out, "with-two") {
		t.Errorf("list says\n%s\nwant with-two", out)
	}
	if list := o.refused(); strings.Contains(strings.Join(list, " "), "ermission") {
		t.Errorf("refused to the executor: %q", list)
	}
}
