package embedded

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"path/filepath"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/durable-execution/durable/jsstore"
)

// A Config says where the server keeps its files, who may connect, and what an
// acknowledged write survives. Only Dir is required.
type Config struct {
	// Dir is where everything is stored. It is created if it does not exist. Only one process
	// at a time can have it open.
	Dir string
	// Port is the TCP port for other processes: 0 opens none, -1 any free one.
	Port int
	// Host is the address of Port. Empty means 127.0.0.1. The server asks for no password:
	// anyone who can reach the port may do everything.
	Host string
	// SyncInterval is how often the server syncs files to the disk. Zero means 10 ms; less than
	// 1 ms is refused. See Durability for the consequences.
	SyncInterval time.Duration
	// SyncAlways makes the server sync each write to the disk before it acknowledges it. That
	// costs one disk flush for each write. SyncInterval is then ignored.
	SyncAlways bool
	// MaxPayload is how many bytes a message may have. Zero means 8 MiB, the most that NATS
	// recommends; more than 16 MiB is refused.
	MaxPayload int
	// MaxStore is how many bytes the streams may take on the disk. Zero leaves the limit to the
	// server: three quarters of the space that is free when it starts.
	MaxStore int64
	// Log receives the server's log lines, from any goroutine. It must not call the Server. If
	// it is nil, warnings and errors go to Store.Logger, or slog.Default().
	Log func(level slog.Level, text string)
	// Store is the configuration of the namespace that Open opens.
	Store jsstore.Config
}

const (
	// defaultSyncInterval costs little under load: 20 k tasks/s, compared with 22 k/s for the
	// server's own default of 2 minutes. When idle it costs about 1 % of a core for each
	// stream, since every sync includes the stream's index.
	defaultSyncInterval = 10 * time.Millisecond
	// defaultMaxPayload is the size from which on the server warns.
	defaultMaxPayload = server.MAX_PAYLOAD_MAX_SIZE
	// largestPayload stays well below the limit of a record on disk, 32 MiB (rlBadThresh in the
	// server's file store), which also holds the subject and the headers.
	largestPayload = 16 << 20
)

// withDefaults returns c with every zero value replaced by its default.
func (c Config) withDefaults() (Config, error) {
	if c.Dir == "" {
		return c, errors.New("start server: no directory is given")
	}
	dir, err := filepath.Abs(c.Dir)
	if err != nil {
		return c, fmt.Errorf("start server in %s: %w", c.Dir, err)
	}
	c.Dir = dir
	if c.Host == "" {
		c.Host = "127.0.0.1"
	}
	if c.SyncInterval == 0 {
		c.SyncInterval = defaultSyncInterval
	}
	if c.MaxPayload == 0 {
		c.MaxPayload = defaultMaxPayload
	}
	switch {
	case c.Port < -1 || c.Port > math.MaxUint16:
		err = fmt.Errorf("port %d is out of range (want -1 to 65535)", c.Port)
	case c.SyncInterval < time.Millisecond:
		err = fmt.Errorf("sync interval %s is below 1ms", c.SyncInterval)
	case c.MaxStore < 0:
		err = fmt.Errorf("max store %d: negative", c.MaxStore)
	case c.MaxPayload < 0 || c.MaxPayload > largestPayload:
		err = fmt.Errorf("max payload %d is not between 1 and %d bytes", c.MaxPayload, largestPayload)
	}
	if err != nil {
		return c, fmt.Errorf("start server in %s: %w", c.Dir, err)
	}
	return c, nil
}

// say returns the function that receives the server's log lines.
func (c Config) say() func(slog.Level, string) {
	if c.Log != nil {
		return c.Log
	}
	log := c.Store.Logger
	if log == nil {
		log = slog.Default()
	}
	return func(level slog.Level, text string) {
		if level >= slog.LevelWarn {
			log.Log(context.Background(), level, "nats-server", "says", text, "dir", c.Dir)
		}
	}
}

// Durability says in one sentence what an acknowledged write survives.
func (c Config) Durability() string {
	if c.SyncAlways {
		return "an acknowledged write is on the disk: neither a killed process nor a power failure loses it"
	}
	every := c.SyncInterval
	if every == 0 {
		every = defaultSyncInterval
	}
	// A write waits up to one interval for the next sync, and up to one more until that sync
	// ends.
	return fmt.Sprintf("a killed process loses no acknowledged write; a power failure may lose the writes of about the last %s", 2*every)
}

// Sync says how the server syncs, for the doctor.
func (c Config) Sync() jsstore.Sync {
	s := jsstore.Sync{Always: c.SyncAlways, StoreDir: storeDir(c.Dir)}
	if s.Always {
		return s
	}
	if s.Interval = c.SyncInterval; s.Interval == 0 {
		s.Interval = defaultSyncInterval
	}
	return s
}

// storeDir returns where the server keeps its files below its directory.
func storeDir(dir string) string { return filepath.Join(dir, "jetstream") }

func (c Config) options() *server.Options {
	return &server.Options{
		ServerName:             "durable",
		Host:                   c.Host,
		Port:                   c.Port,
		DontListen:             c.Port == 0,
		JetStream:              true,
		StoreDir:               c.Dir, // the server keeps its files in Dir/jetstream
		SyncInterval:           max(c.SyncInterval, leastSyncInterval),
		SyncAlways:             c.SyncAlways,
		MaxPayload:             int32(c.MaxPayload),
		JetStreamMaxStore:      c.MaxStore,
		NoSigs:                 true, // signals belong to the program
		NoLog:                  true, // see logger
		DisableJetStreamBanner: true,
	}
}
