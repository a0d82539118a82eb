// Command durable runs the demo of the engine and looks into its stores. It puts
// the packages together and decides nothing about executions.
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
