//go:build unix

package jstest

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
)

const operatorUser = "operator"

// AccountProcesses is [Processes] with servers that ask for a user and a password, and that limit
// the account's storage. [Machines.SetPassword] and [Machines.LimitFile] change these while the
// servers run, as an operator's reload does. The URLs for programs have the first password. The
// servers flush and compact their files every 10 ms, as with deploy/nats-single.conf.
func AccountProcesses(t testing.TB, n int) *Machines {
	t.Helper()
	return processes(t, n, func(n *node) { n.Account = &account{Password: GuardedPassword, MaxFile: -1} })
}

// SetPassword changes the programs' password on all servers, also on those that are down. The
// servers disconnect clients that have used another one.
func (m *Machines) SetPassword(password string) {
	m.t.Helper()
	m.changeAccount(func(a *account) { a.Password = password })
}

// LimitFile changes the account's limit for the bytes of its streams; -1 means no limit.
func (m *Machines) LimitFile(bytes int64) {
	m.t.Helper()
	m.changeAccount(func(a *account) { a.MaxFile = bytes })
}

// changeAccount changes the account, and returns once every running server has loaded the change.
func (m *Machines) changeAccount(change func(*account)) {
	m.t.Helper()
	for i := range m.nodes {
		change(m.nodes[i].Account)
		if err := m.nodes[i].writeAccount(); err != nil {
			m.t.Fatal(err)
		}
		if m.running[i] != nil {
			m.running[i].Signal(syscall.SIGHUP)
		}
	}
	for i, n := range m.nodes {
		if m.running[i] != nil {
			await(m.t, n.name()+" has reloaded", func() bool { return n.loaded() == n.Account.text() })
		}
	}
}

func (a *account) text() string {
	return fmt.Sprintf("accounts { PROGRAMS {\n\tjetstream { max_file: %d }\n\tusers [ { user: %q, password: %q }, { user: %q, password: %q } ]\n} }\n",
		a.MaxFile, GuardedUser, a.Password, operatorUser, operatorUser)
}

// accountFile has the account that a server should load, loadedFile the one that it has loaded.
func (n node) accountFile() string { return filepath.Join(n.Dir, "account.conf") }
func (n node) loadedFile() string  { return filepath.Join(n.Dir, "account.loaded") }

func (n node) writeAccount() error {
	return os.WriteFile(n.accountFile(), []byte(n.Account.text()), 0o600)
}

func (n node) loaded() string {
	text, err := os.ReadFile(n.loadedFile())
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// withAccount adds the account of accountFile to the options of a server, and calls load with them.
func (n node) withAccount(load func(*server.Options) error) error {
	o := n.options()
	if n.Account == nil {
		return load(o)
	}
	text, err := os.ReadFile(n.accountFile())
	if err != nil {
		return err
	}
	if err := o.ProcessConfigString(string(text)); err != nil {
		return err
	}
	if err := load(o); err != nil {
		return err
	}
	return os.WriteFile(n.loadedFile(), text, 0o600)
}

// as returns the URL of an address, with the user and password if the servers ask for them.
func (n node) as(user, password, address string) string {
	u := url.URL{Scheme: "nats", Host: address}
	if n.Account != nil {
		u.User = url.UserPassword(user, password)
	}
	return u.String()
}

// operatorURLs returns the URLs for this package's own connections.
func (m *Machines) operatorURLs() string {
	var list []string
	for i := range m.nodes {
		list = append(list, m.operatorURL(i))
	}
	return strings.Join(list, ",")
}

func (m *Machines) operatorURL(i int) string {
	return m.nodes[i].as(operatorUser, operatorUser, m.nodes[i].Clients[i].String())
}
