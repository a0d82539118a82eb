package deploycheck

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"
)

// drain is how long executors may take to finish running attempts (workers.DefaultDrain), and
// lameDuck how long a nats-server takes to hand over its clients (nats-cluster.conf).
const drain, lameDuck = 30 * time.Second, 30 * time.Second

// secrets are the variables that the user must set.
var secrets = []string{
	"OPERATOR_PASSWORD", "EXECUTOR_PASSWORD", "APPLICATION_PASSWORD", "PRODUCER_PASSWORD", "VIEWER_PASSWORD", "SYSTEM_PASSWORD",
	"EXECUTOR_PACKAGE",
}

func compose(t *testing.T, env ...string) (*types.Project, error) {
	t.Helper()
	o, err := cli.NewProjectOptions([]string{"../../deploy/compose.yaml"}, cli.WithEnv(env), cli.WithProfiles([]string{"*"}))
	if err != nil {
		t.Fatal(err)
	}
	return o.LoadProject(t.Context())
}

// TestComposeFile loads the file like docker compose config, which checks the schema, variables,
// merges and references.
func TestComposeFile(t *testing.T) {
	var env []string
	for _, s := range secrets {
		env = append(env, s+"=x")
	}
	p, err := compose(t, env...)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"nats-1", "nats-2", "nats-3"} {
		s := p.Services[name]
		if got := *s.Environment["NATS_NAME"]; got != name || s.Hostname != name {
			t.Errorf("%s calls itself %s on the host %s", name, got, s.Hostname)
		}
		if got := time.Duration(*s.StopGracePeriod); got <= lameDuck {
			t.Errorf("%s is killed after %s, want more than the %s of handing over", name, got, lameDuck)
		}
		if s.User == "" || !s.ReadOnly || s.HealthCheck == nil {
			t.Errorf("%s: user %q, read only %v, health check %v", name, s.User, s.ReadOnly, s.HealthCheck)
		}
		for _, port := range s.Ports {
			if port.HostIP != "127.0.0.1" {
				t.Errorf("%s is reached from %q", name, port.HostIP)
			}
		}
	}
	x := p.Services["executor"]
	if got := time.Duration(*x.StopGracePeriod); got <= drain {
		t.Errorf("executors are killed after %s, want more than their drain of %s", got, drain)
	}
	if got := p.Services["setup"].Command; len(got) < 3 || got[0] != "setup" || got[2] != "3" {
		t.Errorf("setup runs %q", got)
	}
	for name, s := range p.Services {
		for _, v := range s.Volumes {
			if v.Type != types.VolumeTypeBind || filepath.Base(filepath.Dir(v.Source)) == "tls" || filepath.Base(v.Source) == "tls" {
				continue // certificates are the reader's
			}
			if _, err := os.Stat(v.Source); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		if b := s.Build; b != nil {
			if _, err := os.Stat(filepath.Join(b.Context, b.Dockerfile)); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

func TestComposeAsksForEverySecret(t *testing.T) {
	for _, missing := range secrets {
		var env []string
		for _, s := range secrets {
			if s != missing {
				env = append(env, s+"=x")
			}
		}
		if _, err := compose(t, env...); err == nil {
			t.Errorf("it starts without %s", missing)
		}
	}
}
