package embedded_test

import (
	"testing"

	"github.com/nats-io/nats-server/v2/server"
)

func TestTheServerUnderstandsTheConfigurationsOfDeploy(t *testing.T) {
	for _, file := range []string{"../../deploy/nats-single.conf"} {
		o, err := server.ProcessConfigFile(file)
		if err != nil {
			t.Errorf("%s: %v", file, err)
			continue
		}
		if !o.JetStream || o.SyncInterval <= 0 {
			t.Errorf("%s: JetStream %v, sync interval %s, want JetStream with an interval", file, o.JetStream, o.SyncInterval)
		}
	}
}
