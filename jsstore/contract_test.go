package jsstore_test

import (
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/engine/storetest"
	"github.com/durable-execution/durable/jsstore"
	"github.com/durable-execution/durable/jsstore/jstest"
)

// contractual returns c with the settings with which the contract is tested.
func contractual(c jsstore.Config) jsstore.Config {
	c.Lease, c.PayloadLimit = 2*time.Second, 5<<19+1 // 2.5 messages of 1 MiB
	return c
}

func TestStoreContract(t *testing.T) {
	bubble := func(c jsstore.Config) storetest.Bubble {
		c = contractual(c)
		return func(t *testing.T, fn func(t *testing.T, s engine.Store)) {
			jstest.Bubble(t, func(t *testing.T, nc *nats.Conn) { fn(t, jstest.Open(t, nc, c)) })
		}
	}
	storetest.Run(t, bubble(jsstore.Config{}), storetest.QueueLimit(5, bubble(jsstore.Config{MaxReady: 5})))
}
