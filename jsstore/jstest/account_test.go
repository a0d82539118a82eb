//go:build unix

package jstest_test

import (
	"errors"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/durable-execution/durable/jsstore/jstest"
)

// TestAccountOfMachinesChangesWhileTheyRun changes the password and the file limit of an
// account, on servers that run and on servers that are down.
func TestAccountOfMachinesChangesWhileTheyRun(t *testing.T) {
	for name, n := range map[string]int{"one": 1, "three": 3} {
		t.Run(name, func(t *testing.T) {
			m := jstest.AccountProcesses(t, n)
			link := jstest.Proxy(t, m.URL(0))
			program, err := nats.Connect(link.URL(), nats.MaxReconnects(-1), nats.IgnoreAuthErrorAbort(), nats.ReconnectWait(10*time.Millisecond))
			check(t, err)
			t.Cleanup(program.Close)
			operator := m.Connect()
			js, err := jetstream.New(operator)
			check(t, err)
			_, err = js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "s", Subjects: []string{"s"}, Replicas: n})
			check(t, err)

			m.SetPassword("wrong")
			jstest.Await(t, program, nats.RECONNECTING)
			if _, err := nats.Connect(m.URL(0)); !errors.Is(err, nats.ErrAuthorization) {
				t.Errorf("connect with the old password: %v, want it refused", err)
			}
			put(t, js) // the operator is still in
			m.SetPassword(jstest.GuardedPassword)
			jstest.Await(t, program, nats.CONNECTED)

			m.LimitFile(1)
			var refused *jetstream.APIError
			if _, err := js.Publish(t.Context(), "s", make([]byte, 100)); !errors.As(err, &refused) || refused.ErrorCode != 10002 && refused.ErrorCode != 10023 {
				t.Errorf("publish past the account's limit: %v, want it refused for want of room", err)
			}
			m.LimitFile(-1)
			put(t, js)
			m.LimitFile(1)
			m.KillAll()
			m.LimitFile(-1)
			m.StartAll()
			put(t, js)
		})
	}
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
