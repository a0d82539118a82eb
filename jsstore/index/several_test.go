package index_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/jsstore"
	"github.com/durable-execution/durable/jsstore/index"
	"github.com/durable-execution/durable/jsstore/jstest"
)

// These variables tell the process what to index, when this test runs as one.
const (
	urlVariable  = "DURABLE_INDEX_TEST_URL"
	pathVariable = "DURABLE_INDEX_TEST_PATH"
)

func TestMain(m *testing.M) {
	if url := os.Getenv(urlVariable); url != "" {
		if err := indexOnce(url, os.Getenv(pathVariable)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

func indexOnce(url, path string) error {
	s, err := jsstore.Connect(context.Background(), url, jsstore.Config{})
	if err != nil {
		return err
	}
	defer s.Close()
	x, err := index.Open(s, path)
	if err != nil {
		return err
	}
	x.TakeIn(building / 4)
	_, err = x.CatchUp(context.Background(), time.Time{}, func(index.Progress) { fmt.Println("progress") })
	return errors.Join(err, x.Close())
}

// building is how many executions the killed process has to index.
const building = 15_000 / sparing

// TestProcessesThatAreKilledLoseNothing kills the process that builds an index repeatedly, each
// time later, until one completes.
func TestProcessesThatAreKilledLoseNothing(t *testing.T) {
	if testing.Short() {
		t.Skip("starts processes")
	}
	server := jstest.Listening(t)
	nc, err := server.Connect()
	check(t, err)
	s, err := jsstore.Open(t.Context(), nc, jsstore.Config{Retention: engine.Forever})
	check(t, err)
	defer s.Close()
	populate(t, nc, s, 0, building)
	path := filepath.Join(t.TempDir(), "index.db")
	for killed := 0; ; killed++ {
		ctx, cancel := context.WithTimeout(t.Context(), time.Duration(100+40*sparing*killed)*time.Millisecond)
		cmd := exec.CommandContext(ctx, os.Args[0], "-test.run", "^$") // killed with SIGKILL
		cmd.Env = append(os.Environ(), urlVariable+"="+server.URL(), pathVariable+"="+path)
		out, err := cmd.CombinedOutput()
		cancel()
		if err == nil {
			t.Logf("killed %d times", killed)
			break
		}
		if ctx.Err() == nil {
			t.Fatalf("%v: %s", err, out)
		}
		populate(t, nc, s, building+100*killed, 100) // the namespace changes meanwhile
	}
	x, err := index.Open(s, path)
	check(t, err)
	defer func() { check(t, x.Close()) }()
	p, err := x.CatchUp(t.Context(), time.Time{}, nil)
	check(t, err)
	if !p.Complete {
		t.Errorf("progress = %+v, want complete", p)
	}
	w := &world{t: t, s: s, x: x}
	w.agree(engine.Filter{}, 0)
	w.agree(engine.Filter{Status: engine.Failed, Error: "HOST-3"}, 50)
	w.agree(engine.Filter{Metadata: engine.Metadata{"customer": "customer-5"}}, 0)
}

// TestAFileThatIsRemovedIsMadeAgain removes the file that an index has open, and later lets a
// second index create a new one.
func TestAFileThatIsRemovedIsMadeAgain(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		w.move(ready("a"), claimed())
		w.catchUp()
		check(t, os.Remove(w.path))
		w.move(ready("b"), claimed())
		w.catchUp()
		w.agree(engine.Filter{}, 0)
		_, err := os.Stat(w.path)
		check(t, err)

		check(t, os.Remove(w.path))
		other, err := index.Open(w.s, w.path)
		check(t, err)
		_, err = other.CatchUp(t.Context(), time.Time{}, nil)
		check(t, err)
		w.move(ready("c"), claimed())
		if p := w.catchUp(); p.Read != 1 {
			t.Errorf("read %d messages, want the one that the other file lacks", p.Read)
		}
		w.agree(engine.Filter{}, 0)
		check(t, other.Close())
	})
}

// TestSeveralWriteAndReadOneFile runs writers, which wait for each other, and readers, which
// don't.
func TestSeveralWriteAndReadOneFile(t *testing.T) {
	nc := jstest.Server(t)
	s, err := jsstore.Open(t.Context(), nc, jsstore.Config{Retention: engine.Forever})
	check(t, err)
	defer s.Close()
	const n = 5000 / sparing
	populate(t, nc, s, 0, n)
	path := filepath.Join(t.TempDir(), "index.db")
	var all sync.WaitGroup
	for i := range 4 {
		all.Go(func() {
			x, err := index.Open(s, path)
			if err != nil {
				t.Error(err)
				return
			}
			defer x.Close()
			for k := range 10 {
				if i > 1 { // a reader
					_, err := x.Find(t.Context(), engine.Filter{Task: "task-03"}, engine.Cursor{}, 20)
					if err != nil && !errors.Is(err, index.ErrIncomplete) {
						t.Error(err)
					}
					continue
				}
				if i == 0 {
					populate(t, nc, s, n+k*50, 50)
				}
				p, err := x.CatchUp(t.Context(), time.Time{}, nil)
				if err != nil || !p.Complete {
					t.Errorf("progress = %+v, %v", p, err)
				}
			}
		})
	}
	all.Wait()
	x, err := index.Open(s, path)
	check(t, err)
	defer func() { check(t, x.Close()) }()
	_, err = x.CatchUp(t.Context(), time.Time{}, nil)
	check(t, err)
	(&world{t: t, s: s, x: x}).agree(engine.Filter{}, 1000)
}
