package engine_test

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/durable-execution/durable"

// TestPackagesHaveNoForbiddenImports checks which packages a package may depend on. A name that
// ends in ... stands for the package and all packages below it.
func TestPackagesHaveNoForbiddenImports(t *testing.T) {
	if testing.Short() {
		t.Skip("lists the dependencies of every package, which takes seconds")
	}
	const (
		nats       = "github.com/nats-io/nats.go/..."
		natsServer = "github.com/nats-io/nats-server/..."
		zap        = "go.uber.org/zap/..."
		cmd        = module + "/cmd/..."
		sqlite     = "modernc.org/..."
		internal   = module + "/jsstore/internal"
	)
	for pkg, never := range map[string][]string{
		"codec":            {nats, natsServer, zap, sqlite, cmd, module + "/engine/...", module + "/jsstore/...", module + "/workers/..."},
		"engine":           {nats, natsServer, zap, sqlite, cmd, module + "/jsstore/...", module + "/workers/..."},
		"engine/history":   {nats, natsServer, zap, sqlite, cmd, module + "/jsstore/...", module + "/workers/..."},
		"engine/memstore":  {nats, natsServer, zap, sqlite, cmd, module + "/jsstore/...", module + "/workers/..."},
		"engine/storetest": {nats, natsServer, zap, sqlite, cmd, module + "/jsstore/...", module + "/workers/..."},
		"jsstore":          {natsServer, zap, sqlite, cmd, module + "/workers/..."},
		"jsstore/doctor":   {natsServer, zap, sqlite, cmd, module + "/workers/..."},
		"jsstore/scan":     {natsServer, zap, sqlite, cmd, module + "/workers/...", module + "/jsstore/doctor/..."},
		// From the names up to what the store shares: each knows those before it alone.
		"jsstore/internal/layout":    {natsServer, zap, sqlite, cmd, module + "/workers/...", internal + "/rpc/...", internal + "/message/...", internal + "/namespace/..."},
		"jsstore/internal/rpc":       {natsServer, zap, sqlite, cmd, module + "/workers/...", internal + "/layout/...", internal + "/message/...", internal + "/namespace/..."},
		"jsstore/internal/message":   {natsServer, zap, sqlite, cmd, module + "/workers/...", internal + "/namespace/..."},
		"jsstore/internal/namespace": {natsServer, zap, sqlite, cmd, module + "/workers/...", module + "/jsstore/scan/...", module + "/jsstore/doctor/..."},
		"jsstore/api":                {natsServer, zap, sqlite, cmd, module + "/workers/..."},
		"jsstore/embedded":           {zap, sqlite, cmd, module + "/workers/..."},
		"jsstore/index":              {natsServer, zap, cmd, module + "/workers/..."}, // the only package with SQLite: a program that wants an index links it
		"workers":                    {nats, natsServer, zap, sqlite, cmd, module + "/jsstore/..."},
	} {
		for _, dep := range dependencies(t, pkg) {
			for _, no := range never {
				if below, ok := strings.CutSuffix(no, "/..."); ok && (dep == below || strings.HasPrefix(dep, below+"/")) {
					t.Errorf("%s depends on %s, which it must not import", pkg, dep)
				}
			}
		}
	}
}

// TestTheTopLevelIsTheOwners checks the names at the top level of the repository.
func TestTheTopLevelIsTheOwners(t *testing.T) {
	out, err := exec.Command("git", "ls-tree", "--name-only", "HEAD", "../").Output()
	if err != nil {
		t.Skipf("not a git checkout: %v", err)
	}
	allowed := []string{"go.mod", "go.sum", "README.md", "LICENSE", "CHANGELOG.md",
		"engine", "jsstore", "codec", "workers", "cmd", "deploy"}
	for name := range strings.FieldsSeq(string(out)) {
		name = strings.TrimPrefix(name, "../")
		if !strings.HasPrefix(name, ".") && !slices.Contains(allowed, name) {
			t.Errorf("%s is at the top level, where only the owner adds names", name)
		}
	}
}

func dependencies(t *testing.T, pkg string) []string {
	t.Helper()
	out, err := exec.Command("go", "list", "-deps", module+"/"+pkg).CombinedOutput()
	if err != nil {
		t.Fatalf("go list -deps %s: %v\n%s", pkg, err, out)
	}
	return strings.Fields(string(out))
}
