package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"syscall"

	"github.com/redis/go-redis/v9"
)

// redisServer starts a Redis of its own, with the defaults except for persistence: appendfsync is
// "no" for no file at all (none), or everysec or always. See "Redis persistence" in its
// documentation.
func redisServer(appendfsync string) func(ctx context.Context, dir string) (service, error) {
	return func(ctx context.Context, dir string) (service, error) {
		program, err := exec.LookPath("redis-server")
		if err != nil {
			return service{}, notInstalled("Redis is not installed (Debian package redis-server)")
		}
		port, err := freePort()
		if err != nil {
			return service{}, err
		}
		log := filepath.Join(dir, "redis.log")
		args := []string{"--bind", "127.0.0.1", "--port", port, "--dir", dir, "--save", ""}
		if appendfsync != "none" {
			args = append(args, "--appendonly", "yes", "--appendfsync", appendfsync)
		}
		pid, stop, err := start(log, nil, syscall.SIGTERM, program, args...)
		if err != nil {
			return service{}, err
		}
		s := service{Address: "127.0.0.1:" + port, Dir: dir, Pids: []int{pid}, stop: stop}
		err = ready(ctx, pid, log, func(ctx context.Context) error {
			c := redis.NewClient(&redis.Options{Addr: s.Address})
			defer c.Close()
			info, err := c.InfoMap(ctx, "server").Result()
			if err == nil {
				s.Version = fmt.Sprint("Redis ", info["Server"]["redis_version"])
			}
			return err
		})
		if err != nil {
			return service{}, errors.Join(err, stop())
		}
		return s, nil
	}
}
