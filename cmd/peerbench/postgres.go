package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/jackc/pgx/v5"
)

// postgres starts a PostgreSQL of its own, with the configuration that initdb writes and three
// changes. shared_buffers is 1 GB: the documentation (20.4.1) recommends a quarter of the memory
// of a dedicated machine. max_wal_size is 4 GB (30.5), so that time triggers checkpoints. The
// number of connections is large enough.
func postgres(synchronousCommit string) func(ctx context.Context, dir string) (service, error) {
	return func(ctx context.Context, dir string) (service, error) {
		bin, err := postgresPrograms()
		if err != nil {
			return service{}, err
		}
		who, err := other("postgres")
		if err != nil {
			return service{}, err
		}
		if who != nil {
			if err := os.Chown(dir, int(who.Uid), int(who.Gid)); err != nil {
				return service{}, err
			}
		}
		port, err := freePort()
		if err != nil {
			return service{}, err
		}
		data, log := filepath.Join(dir, "data"), filepath.Join(dir, "postgres.log")
		if _, err := output(ctx, who, dir, filepath.Join(bin, "initdb"), "-D", data, "-U", "bench", "--auth=trust", "--encoding=UTF8", "--locale=C"); err != nil {
			return service{}, err
		}
		s := service{Address: "postgres://bench@127.0.0.1:" + port + "/bench?sslmode=disable", Dir: dir}
		// SIGINT is the fast shutdown.
		pid, stop, err := start(log, who, syscall.SIGINT, filepath.Join(bin, "postgres"), "-D", data, "-p", port,
			"-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=", "-c", "max_connections=300",
			"-c", "shared_buffers=1GB", "-c", "max_wal_size=4GB", "-c", "fsync=on", "-c", "synchronous_commit="+synchronousCommit)
		if err != nil {
			return service{}, err
		}
		s.Pids, s.stop = []int{pid}, stop
		err = ready(ctx, pid, log, func(ctx context.Context) error {
			c, err := pgx.Connect(ctx, strings.Replace(s.Address, "/bench?", "/postgres?", 1))
			if err != nil {
				return err
			}
			defer c.Close(ctx)
			if err := c.QueryRow(ctx, "show server_version").Scan(&s.Version); err != nil {
				return err
			}
			_, err = c.Exec(ctx, "create database bench")
			return err
		})
		if err != nil {
			return service{}, errors.Join(err, stop())
		}
		s.Version, _, _ = strings.Cut(s.Version, " ")
		s.Version = "PostgreSQL " + s.Version
		return s, nil
	}
}

// postgresPrograms returns the directory of initdb and postgres. Debian has one directory for each
// version, and none of them is in the path.
func postgresPrograms() (string, error) {
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if err != nil {
		return "", err
	}
	if len(found) == 0 {
		return "", notInstalled("PostgreSQL is not installed (Debian package postgresql)")
	}
	return filepath.Dir(found[len(found)-1]), nil
}
