package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// A build holds the versions that this program was built from.
type build struct {
	Version    string `json:"version"`
	Revision   string `json:"revision,omitempty"`
	Go         string `json:"go"`
	Platform   string `json:"platform"`
	NATSServer string `json:"natsServer"`
	NATSClient string `json:"natsClient"`
}

func (a *app) version() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Show the versions of this program, Go, nats-server and nats.go",
		Args:  exactly(0, "no arguments"),
		RunE:  func(*cobra.Command, []string) error { return a.printVersion() },
	}
}

func (a *app) printVersion() error {
	b := thisBuild()
	if a.json {
		return printJSON(a.out, b)
	}
	fmt.Fprintf(a.out, "durable %s", b.Version)
	if b.Revision != "" {
		fmt.Fprintf(a.out, " (%s)", b.Revision)
	}
	fmt.Fprintf(a.out, "\nnats-server %s embedded, nats.go %s, %s %s\n", b.NATSServer, b.NATSClient, b.Go, b.Platform)
	return nil
}

func thisBuild() build {
	b := build{Version: "(unknown)", NATSServer: "(unknown)", NATSClient: "(unknown)",
		Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	b.Version = info.Main.Version
	for _, d := range info.Deps {
		switch d.Path {
		case "github.com/nats-io/nats-server/v2":
			b.NATSServer = d.Version
		case "github.com/nats-io/nats.go":
			b.NATSClient = d.Version
		}
	}
	modified := ""
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.Revision = s.Value[:min(12, len(s.Value))]
		case "vcs.modified":
			if s.Value == "true" {
				modified = ", modified"
			}
		}
	}
	if b.Revision != "" {
		b.Revision += modified
	}
	return b
}
