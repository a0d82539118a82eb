// Command durable inspects and operates stores of the engine, and runs its demo. It assembles
// the packages; it makes no decisions about executions.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/gdamore/tcell/v2"
	"golang.org/x/term"
)

func main() {
	ctx, interrupt := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-signals
		interrupt()
		<-signals
		os.Exit(exitInterrupted)
	}()
	os.Exit(run(ctx, os.Args[1:], streams{in: os.Stdin, asked: term.IsTerminal(int(os.Stdin.Fd())), out: screenOf(os.Stdout), err: screenOf(os.Stderr), terminal: tcell.NewScreen}))
}
