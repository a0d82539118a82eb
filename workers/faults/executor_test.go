//go:build unix

package faults

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/exp/zapslog"

	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/engine/history"
	"github.com/durable-execution/durable/jsstore"
	"github.com/durable-execution/durable/workers"
)

const executorRole = "executor"

// A program is the configuration of an executor process.
type program struct {
	Name      string
	URL       string
	Namespace string
	History   string // its path
	Slots     int
	Drain     time.Duration
	CrashCap  int
	Strike    strike
	Strangers bool // also bind these tasks
	Deaf      bool // acknowledgements of executions get lost

	path        string // of another binary
	environment []string
}

// runExecutor is the main function of an executor process. It is like a user's program, but writes
// a history, and strikes itself if its program says so.
func runExecutor(config []byte, ready func()) error {
	var p program
	if err := json.Unmarshal(config, &p); err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	book, err := history.Append(p.History, p.Name)
	if err != nil {
		return err
	}
	diary, due, deaf = book, p.Strike, p.Deaf
	store, err := jsstore.Connect(ctx, p.URL, jsstore.Config{Namespace: p.Namespace})
	if err != nil {
		return err
	}
	defer store.Close()
	log, err := zap.NewProduction()
	if err != nil {
		return err
	}
	bound := bindings(book)
	if p.Strangers {
		bound = append(bound, engine.Bind(strangers, func(ctx context.Context, n int) (int, error) {
			defer begin(ctx, book)()
			return n, nil
		}))
	}
	x, err := workers.New(striker{store}, workers.Config{
		Name: p.Name, Slots: p.Slots, Drain: p.Drain, CrashCap: p.CrashCap, Logger: slog.New(zapslog.NewHandler(log.Core())),
	}, bound...)
	if err != nil {
		return err
	}
	write(book, history.Event{Kind: history.Up, Text: fmt.Sprint("process ", os.Getpid())})
	ready()
	if err := x.Run(ctx); err != nil {
		return err
	}
	write(book, history.Event{Kind: history.Down, Text: "drained"})
	return nil
}

// machineTime is the machine's time, even if this process's clock has jumped.
func machineTime() time.Time {
	var tv syscall.Timeval
	if err := syscall.Gettimeofday(&tv); err != nil {
		panic(err)
	}
	return time.Unix(tv.Unix())
}
