package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"
)

// install installs the missing services: Debian's packages of PostgreSQL and Redis, which may
// start servers, as Debian packages do, and Temporal's development server. It returns what it could
// not install, and why; the caller goes on without it.
func install(ctx context.Context, progress io.Writer) (troubles []string) {
	var packages []string
	if _, err := postgresPrograms(); err != nil {
		packages = append(packages, "postgresql")
	}
	if _, err := exec.LookPath("redis-server"); err != nil {
		packages = append(packages, "redis-server")
	}
	if len(packages) > 0 {
		fmt.Fprintf(progress, "installing %v\n", packages)
		if err := installPackages(ctx, packages); err != nil {
			troubles = append(troubles, fmt.Sprintf("install %v: %v", packages, err))
		}
	}
	if _, err := exec.LookPath("temporal"); err == nil {
		return troubles
	}
	if _, err := builtDevServer(); err != nil {
		fmt.Fprintln(progress, "building Temporal's development server, which takes minutes")
		began := time.Now()
		if err := buildDevServer(ctx); err != nil {
			return append(troubles, err.Error())
		}
		fmt.Fprintf(progress, "built in %s\n", time.Since(began).Round(time.Second))
	}
	return troubles
}

func installPackages(ctx context.Context, packages []string) error {
	if err := os.Setenv("DEBIAN_FRONTEND", "noninteractive"); err != nil {
		return err
	}
	if _, err := output(ctx, nil, "/", "apt-get", "update"); err != nil {
		return err
	}
	_, err := output(ctx, nil, "/", "apt-get", append([]string{"install", "-y", "--no-install-recommends"}, packages...)...)
	return err
}
