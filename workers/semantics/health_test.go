package semantics_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/engine/memstore"
	"github.com/durable-execution/durable/jsstore"
	"github.com/durable-execution/durable/jsstore/jstest"
	"github.com/durable-execution/durable/workers"
)

// If the store of a running executor is closed, Run returns: the executor could record nothing,
// and would silently wait for ever.
func TestRunEndsWithTheStoreThatIsClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := memstore.New(memstore.Config{})
		naps := engine.Define[int, int]("nap")
		cause := make(chan error, 1)
		x, err := workers.New(s, workers.Config{}, engine.Bind(naps, func(ctx context.Context, n int) (int, error) {
			<-ctx.Done()
			cause <- context.Cause(ctx)
			return n, nil
		}))
		check(t, err)
		done := make(chan error, 1)
		go func() { done <- x.Run(t.Context()) }()
		_, err = naps.Enqueue(t.Context(), x.Client(), 1)
		check(t, err)
		pass(time.Second)

		began := time.Now()
		s.Close()
		if err := <-done; !errors.Is(err, engine.ErrClosed) {
			t.Errorf("Run = %v, want ErrClosed", err)
		}
		if took := time.Since(began); took > 0 {
			t.Errorf("Run returned %s after the store was closed, want at once", took)
		}
		if err := <-cause; !errors.Is(err, engine.ErrClosed) {
			t.Errorf("the attempt's context ended with %v, want ErrClosed", err)
		}
		if err := x.Health(); !errors.Is(err, engine.ErrClosed) {
			t.Errorf("health = %v, want ErrClosed", err)
		}
	})
}

// An executor is healthy from its first claim until it has drained. It becomes unhealthy only if
// the server is down for three leases.
func TestHealthTellsWhetherAnExecutorCanWork(t *testing.T) {
	jstest.BubbleHost(t, func(t *testing.T, h *jstest.Host) {
		s, err := jsstore.Open(t.Context(), h.Connect(nats.ReconnectBufSize(-1)), jsstore.Config{Lease: 10 * time.Second})
		check(t, err)
		x, err := workers.New(s, workers.Config{Name: "x"})
		check(t, err)
		probe := func(want int, says string) {
			t.Helper()
			w := httptest.NewRecorder()
			x.HealthHandler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
			var got struct {
				Executor, Error string
				Healthy         bool
			}
			check(t, json.Unmarshal(w.Body.Bytes(), &got))
			if w.Code != want || got.Healthy != (want == 200) || got.Executor != "x" || !strings.Contains(got.Error, says) || (says == "") != (got.Error == "") {
				t.Errorf("probe = %d %+v, want %d and %q", w.Code, got, want, says)
			}
		}
		probe(503, "does not run yet")
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- x.Run(ctx) }()
		pass(time.Second)
		probe(200, "")
		pass(time.Hour) // an idle executor is healthy
		probe(200, "")
		h.Stop()
		pass(20 * time.Second)
		probe(200, "")
		pass(20 * time.Second)
		probe(503, "not connected")
		h.Start()
		pass(20 * time.Second)
		probe(200, "")

		js, err := jetstream.New(h.Connect())
		check(t, err)
		check(t, js.DeleteConsumer(t.Context(), "durable-ready", "queue-default"))
		pass(time.Minute) // the executor creates the consumer again
		probe(200, "")
		check(t, js.DeleteStream(t.Context(), "durable-control"))
		pass(time.Minute)
		probe(503, "stream not found")
		stop()
		check(t, <-done)
		probe(503, "has stopped")
		check(t, s.Close())
	})
}
