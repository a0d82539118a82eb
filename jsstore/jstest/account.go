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

// AccountProcesses is [Processes] with servers that ask for a user and a password, and bound
// what the account may store. Both can be changed while they run, as an operator does by a
// reload: see [Machines.SetPassword] and [Machines.LimitFile]. The URLs of programs have the
// password that is right at first. The servers flush, and compact their files, every 10 ms,
// as deploy/nats-single.conf has it.
func AccountProcesses(t testing.TB, n int) *Machines {
	t.Helper()
	return processes(t, n, func(n *node) { n.Account = &account{Password: GuardedPassword, MaxFile: -1} })
}

// SetPassword changes the password of programs on all servers, those that are down included:
// whoever is connected by another is thrown out.
func (m *Machines) SetPassword(password string) {
	m.t.Helper()
	m.changeAccount(func(a *account) { a.Password = password })
}

// LimitFile changes how many bytes the account's streams may take; -1 is without a limit.
func (m *Machines) LimitFile(bytes int64) {
	m.t.Helper()
	m.changeAccount(func(a *account) { a.MaxFile = bytes })
}

// changeAccount returns when every server that is up has taken the change.
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

// What a server is to read is in one file, and what it has read in another.
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

// withAccount adds what the file says to the options of a server, and loads them by load.
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

// as returns the URL with a user, where the servers ask for one.
func (n node) as(user, password, address string) string {
	u := url.URL{Scheme: "nats", Host: address}
	if n.Account != nil {
		u.User = url.UserPassword(user, password)
	}
	return u.String()
}

// operatorURLs is where this package's own connections go.
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
