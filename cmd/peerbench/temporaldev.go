package main

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"

	"go.temporal.io/sdk/client"
)

// temporalCLI is the version of the Temporal CLI whose development server -install builds if there
// is no `temporal` in the path.
const temporalCLI = "v1.9.1"

// temporalFile describes the failures that the development server's file survives.
const temporalFile = "nothing is lost (rollback journal, synchronous full: SQLite's defaults)"

// temporalServer starts `temporal server start-dev`, in memory or with a file, as in Temporal's
// documentation.
func temporalServer(file bool) starter {
	return func(ctx context.Context, dir string) (service, error) {
		port, err := freePort()
		if err != nil {
			return service{}, err
		}
		program, args := "temporal", []string{"server", "start-dev", "--headless", "--ip", "127.0.0.1", "--port", port}
		if _, err := exec.LookPath(program); err != nil {
			if program, err = builtDevServer(); err != nil {
				return service{}, err
			}
			args = []string{"--port", port}
		}
		if file {
			args = append(args, "--db-filename", filepath.Join(dir, "temporal.sqlite"))
		}
		log := filepath.Join(dir, "temporal.log")
		pid, stop, err := start(log, nil, syscall.SIGINT, program, args...)
		if err != nil {
			return service{}, err
		}
		s := service{Address: "127.0.0.1:" + port, Dir: dir, Pids: []int{pid}, stop: stop}
		err = ready(ctx, pid, log, func(ctx context.Context) error {
			c, err := client.DialContext(ctx, client.Options{HostPort: s.Address, Logger: quietTemporal{}})
			if err != nil {
				return err
			}
			defer c.Close()
			info, err := c.WorkflowService().GetSystemInfo(ctx, nil)
			s.Version = "Temporal server " + info.GetServerVersion()
			return err
		})
		if err != nil {
			return service{}, errors.Join(err, stop())
		}
		return s, nil
	}
}

// devServerMain is a main program for the CLI's package of the development server, with the options
// of the command start-dev.
//
//go:embed devserver.go.txt
var devServerMain []byte

func devServerPath() (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	return filepath.Join(cache, "durable-peerbench", "temporal-devserver-"+temporalCLI), nil
}

func builtDevServer() (string, error) {
	path, err := devServerPath()
	if err == nil {
		_, err = os.Stat(path)
	}
	if err != nil {
		return "", notInstalled("there is no program temporal, and its development server has not been built (-install builds it)")
	}
	return path, nil
}

// buildDevServer builds the development server from the CLI's module. The module proxy does not
// have enough to build the whole CLI: `go install` refuses the replace directive in its go.mod, and
// the module does not contain the directive's target, which other commands need. The package
// internal/devserver does not need it.
func buildDevServer(ctx context.Context) error {
	path, err := devServerPath()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "temporal-cli")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	text, err := output(ctx, nil, dir, "go", "mod", "download", "-json", "github.com/temporalio/cli@"+temporalCLI)
	if err != nil {
		return err
	}
	var module struct{ Dir string }
	if err := json.Unmarshal([]byte(text), &module); err != nil {
		return err
	}
	source := filepath.Join(dir, "cli")
	if err := os.CopyFS(source, os.DirFS(module.Dir)); err != nil {
		return err
	}
	main := filepath.Join(source, "cmd", "devserver", "main.go")
	if err := os.MkdirAll(filepath.Dir(main), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(main, devServerMain, 0o644); err != nil {
		return err
	}
	const other = "github.com/temporalio/cli/cliext"
	if _, err := output(ctx, nil, source, "go", "mod", "edit", "-dropreplace="+other, "-droprequire="+other); err != nil {
		return err
	}
	if _, err := output(ctx, nil, source, "go", "build", "-mod=mod", "-o", path, "./cmd/devserver"); err != nil {
		return fmt.Errorf("build Temporal's development server: %w", err)
	}
	return nil
}
