package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

// natsCommand makes this program a nats-server: it does the same as nats-server's main.
const natsCommand = "nats-server"

func serveNATS(args []string) error {
	options, err := server.ConfigureOptions(flag.NewFlagSet(natsCommand, flag.ExitOnError), args, server.PrintServerAndExit, func() {}, func() {})
	if err != nil {
		return err
	}
	s, err := server.NewServer(options)
	if err != nil {
		return err
	}
	s.ConfigureLogger()
	if err := server.Run(s); err != nil {
		return err
	}
	s.WaitForShutdown()
	return nil
}

// natsServer starts a nats-server in a process of its own, with the configuration of
// deploy/nats-single.conf and the given sync interval.
func natsServer(sync string) func(ctx context.Context, dir string) (service, error) {
	return func(ctx context.Context, dir string) (service, error) {
		self, err := os.Executable()
		if err != nil {
			return service{}, err
		}
		port, err := freePort()
		if err != nil {
			return service{}, err
		}
		config, log := filepath.Join(dir, "nats.conf"), filepath.Join(dir, "nats.log")
		text := fmt.Sprintf("listen: \"127.0.0.1:%s\"\nmax_payload: 8MB\njetstream { store_dir: %q, sync_interval: %q }\n", port, dir, sync)
		if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
			return service{}, err
		}
		pid, stop, err := start(log, nil, syscall.SIGTERM, self, natsCommand, "-c", config)
		if err != nil {
			return service{}, err
		}
		s := service{Address: "nats://127.0.0.1:" + port, Dir: dir, Pids: []int{pid}, stop: stop}
		err = ready(ctx, pid, log, func(context.Context) error {
			c, err := nats.Connect(s.Address)
			if err != nil {
				return err
			}
			defer c.Close()
			s.Version = "nats-server " + c.ConnectedServerVersion()
			return nil
		})
		if err != nil {
			return service{}, errors.Join(err, stop())
		}
		return s, nil
	}
}

// inProcess starts no service: the peer stores its files itself.
func inProcess(_ context.Context, dir string) (service, error) {
	return service{Dir: dir, stop: func() error { return nil }}, nil
}
