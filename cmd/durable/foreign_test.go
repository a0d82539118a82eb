package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/durable-execution/durable/codec"
	"github.com/durable-execution/durable/engine"
	"github.com/durable-execution/durable/jsstore"
	"github.com/durable-execution/durable/jsstore/jstest"
	"github.com/durable-execution/durable/workers"
)

// Clients that are not part of this project: the official packages for JavaScript, and the nats
// command line. .ci/run installs both. It also sets DURABLE_FOREIGN, so that a test fails rather
// than being skipped if they are missing.

// needs returns the path that an environment variable names, and skips the test if it is not
// set.
func needs(t *testing.T, variable, what string) string {
	t.Helper()
	if testing.Short() {
		t.Skip("starts processes, which takes seconds")
	}
	path := os.Getenv(variable)
	if path == "" && os.Getenv("DURABLE_FOREIGN") != "" {
		t.Fatalf("%s, which says where %s, is not set", variable, what)
	}
	if path == "" {
		t.Skipf("%s does not say where %s", variable, what)
	}
	return path
}

type person struct {
	Name string `json:"name"`
}

// executing runs an executor of sample tasks and returns the URL of its server.
func executing(t *testing.T) (url string) {
	t.Helper()
	url = jstest.Listening(t).URL()
	number := engine.Define[int, int]("number")
	spawn := func(_ context.Context, n int, c *engine.Children) (int, error) {
		for i := range n {
			number.Spawn(c, i)
		}
		return n, nil
	}
	hello := func(_ context.Context, p person) (string, error) { return "hello, " + p.Name, nil }
	executes(t, url,
		engine.Bind(engine.Define[person, string]("greet"), hello),
		engine.Bind(engine.Define[person, string]("packed", engine.Encoding{Type: codec.MsgPack}), hello),
		engine.Bind(number, func(_ context.Context, n int) (int, error) { return n, nil }),
		engine.BindParent(engine.Define[int, int]("sum"), spawn, func(_ context.Context, j engine.Joined[int, int]) (sum int, _ error) {
			for _, r := range number.Results(j.Children) {
				n, err := r.Get()
				if err != nil {
					return 0, err
				}
				sum += n
			}
			return sum, nil
		}),
		engine.BindFanOut(engine.Define[int, engine.Gathered[int]]("fanOut"), spawn),
		engine.Bind(engine.Define[int, string]("large"), func(_ context.Context, n int) (string, error) { return strings.Repeat("x", n), nil }),
		engine.Bind(engine.Define[any, any]("fails"), func(context.Context, any) (any, error) { return nil, errors.New("no luck") }),
		engine.Bind(engine.Define[int, int]("slow", engine.NoTimeout), func(ctx context.Context, ms int) (int, error) {
			select {
			case <-time.After(time.Duration(ms) * time.Millisecond):
				return ms, nil
			case <-ctx.Done():
				return 0, context.Cause(ctx)
			}
		}),
		engine.BindSleeping(engine.DefineSleeping[any, any]("approve")))
	return url
}

// executes runs an executor until the end of the test. It returns when the executor answers.
func executes(t *testing.T, url string, bs ...engine.Binding) {
	t.Helper()
	s, err := jsstore.Connect(t.Context(), url, jsstore.Config{})
	if err != nil {
		t.Fatal(err)
	}
	x, err := workers.New(s, workers.Config{Name: "sample", Slots: 500}, bs...)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- x.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	for answers := []engine.Answer(nil); len(answers) == 0; {
		if answers, err = s.RollCall(t.Context(), engine.RollCall{For: 50 * time.Millisecond}); err != nil {
			t.Fatal(err)
		}
	}
}

// command runs a program to its end and returns what it printed.
func command(t *testing.T, dir string, env []string, name string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s %s: %v\nstdout:\n%s\nstderr:\n%s", name, strings.Join(args, " "), err, out.String(), errs.String())
	}
	return out.String()
}

// javascript copies the examples, and the scripts of the tests, to a directory with their packages,
// and returns the directory.
func javascript(t *testing.T) string {
	t.Helper()
	modules := needs(t, "DURABLE_NODE_MODULES", "the npm packages of cmd/durable/examples/js are")
	dir := t.TempDir()
	for _, from := range []string{"examples", "testdata"} {
		if err := os.CopyFS(dir, os.DirFS(filepath.Join(packageDir, from, "js"))); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(modules, filepath.Join(dir, "node_modules")); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestJavaScriptReadsTheVectors(t *testing.T) {
	dir := javascript(t)
	out := command(t, dir, []string{"DURABLE_VECTORS=" + filepath.Join(packageDir, "..", "..", "codec", "testdata", "v1")}, "node", "--test", "--test-reporter=tap", "vectors.test.mjs")
	if !regexp.MustCompile(`(?m)^# pass 1\d\d$`).MatchString(out) || !strings.Contains(out, "\n# fail 0\n") {
		t.Errorf("want more than a hundred that pass:\n%s", out[max(len(out)-1000, 0):])
	}
}

func TestJavaScriptDrivesAnExecutor(t *testing.T) {
	dir := javascript(t)
	url := executing(t)
	out := command(t, dir, []string{"NATS_URL=" + url}, "node", "suite.mjs")
	t.Log(out)
	if !strings.Contains(out, "ok 10000 executions") {
		t.Errorf("10,000 executions did not complete:\n%s", out)
	}
}

func TestExamplesInJavaScript(t *testing.T) {
	dir := javascript(t)
	url := executing(t)
	if got := command(t, dir, []string{"NATS_URL=" + url}, "node", "publish.mjs"); got != "completed \"hello, world\"\n" {
		t.Errorf("publish.mjs printed %q", got)
	}
	if got := command(t, dir, []string{"NATS_URL=" + url}, "node", "enqueue.mjs"); got != "hello, world\n" {
		t.Errorf("enqueue.mjs printed %q", got)
	}
	if got := command(t, dir, []string{"NATS_URL=" + url}, "node", "api.mjs"); got != "completed hello, world\ncancelled completed\n" {
		t.Errorf("api.mjs printed %q", got)
	}
}

// TestTheSnippetsOnThePageAreTheExamples keeps the snippets of the page the same as the tested
// examples.
func TestTheSnippetsOnThePageAreTheExamples(t *testing.T) {
	page, err := os.ReadFile(filepath.Join(packageDir, "..", "..", "engine", "docs", "clients.md"))
	if err != nil {
		t.Fatal(err)
	}
	for fence, file := range map[string]string{"```sh\n": "enqueue.sh", "```js\n": "js/publish.mjs"} {
		_, rest, _ := strings.Cut(string(page), fence)
		snippet, _, _ := strings.Cut(rest, "```")
		example, err := os.ReadFile(filepath.Join(packageDir, "examples", file))
		if err != nil {
			t.Fatal(err)
		}
		if snippet == "" || !strings.HasSuffix(string(example), snippet) {
			t.Errorf("clients.md has:\n%s\nwhich is not how %s ends", snippet, file)
		}
	}
}

func TestExampleInGoWithoutOurPackages(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles a program, which takes seconds")
	}
	url := executing(t)
	if got := command(t, packageDir, []string{"NATS_URL=" + url}, "go", "run", "examples/go/main.go"); got != "\"hello, world\"\n" {
		t.Errorf("main.go printed %q", got)
	}
	deps := command(t, packageDir, nil, "go", "list", "-deps", "examples/go/main.go")
	if strings.Contains(deps, "github.com/durable-execution") {
		t.Errorf("main.go depends on our packages:\n%s", deps)
	}
}

func TestExampleInShell(t *testing.T) {
	cli := needs(t, "DURABLE_NATS_CLI", "the nats command line is")
	url := executing(t)
	env := []string{"NATS_URL=" + url, "HOME=" + t.TempDir(), "PATH=" + filepath.Dir(cli) + ":" + os.Getenv("PATH")}
	lines := strings.FieldsFunc(command(t, packageDir, env, "sh", "examples/enqueue.sh"), func(r rune) bool { return r == '\n' })
	for i, want := range []string{`"status":"completed".*"output":"hello, world"`, `"status":"cancelled"`, `"status":"cancelled".*"status":"completed"`} {
		if len(lines) != 3 || !regexp.MustCompile(want).MatchString(lines[i]) {
			t.Fatalf("line %d of %q, want %s", i, lines, want)
		}
	}
}

func TestNATSCommandLineDrivesAnExecutor(t *testing.T) {
	path := needs(t, "DURABLE_NATS_CLI", "the nats command line is")
	url := executing(t)
	home := t.TempDir() // hides the contexts of the user who runs the test
	run := func(args ...string) string {
		t.Helper()
		return command(t, home, []string{"HOME=" + home, "XDG_CONFIG_HOME=" + home}, path, append([]string{"--server", url}, args...)...)
	}
	has := func(got string, parts ...string) {
		t.Helper()
		for _, part := range parts {
			if !strings.Contains(got, part) {
				t.Errorf("%q is not in %s", part, got)
			}
		}
	}
	var notices lockedBuffer
	sub := exec.CommandContext(t.Context(), path, "--server", url, "sub", "--raw", "durable.ended.42")
	sub.Stdout, sub.Env = &notices, append(os.Environ(), "HOME="+home, "XDG_CONFIG_HOME="+home)
	if err := sub.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = sub.Process.Kill(); _ = sub.Wait() }() // it subscribes until then
	for !heard(t, url, "durable.ended.42") {
		time.Sleep(10 * time.Millisecond) // until it has subscribed
	}
	run("pub", "-J", "durable.ready.default.greet.42", `{"name":"world"}`)
	has(run("req", "--raw", "durable.api.wait", `{"executionId":"42"}`), `"status":"completed"`, `"output":"hello, world"`)

	var notice engine.Execution
	began := time.Now()
	for err := error(errors.New("none yet")); err != nil; time.Sleep(10 * time.Millisecond) {
		// For each request of heard, which has no body, the command prints a line.
		notice, err = printedRecord(strings.ReplaceAll(notices.String(), "nil body\n", ""))
		if time.Since(began) > time.Minute {
			t.Fatalf("notice: %v, of %q", err, notices.String())
		}
	}
	if notice.Status != engine.Completed || string(notice.Output.Data) != `"hello, world"` {
		t.Errorf("notice = %+v", notice)
	}

	// Read the bucket with the same command line.
	x, err := printedRecord(run("kv", "get", "--raw", "durable-executions", "42"))
	if err != nil || x.ID != "42" || x.Input.Type != codec.JSON || string(x.Output.Data) != `"hello, world"` {
		t.Errorf("record = %+v, %v", x, err)
	}
	has(run("kv", "ls", "durable-executions"), "42", "=namespace")
	has(run("kv", "get", "--raw", "durable-executions", "=namespace"), `"version":1`)

	run("pub", "-J", "-H", "Durable-Delay:3600000", "durable.ready.default.greet.late", `{"name":"world"}`)
	has(run("req", "--raw", "durable.api.cancel", `{"executionId":"late","reason":"enough"}`), `"status":"cancelled"`)
	has(run("req", "durable.api.get", `{"executionId":"nosuch"}`), `"not_found"`)
	has(run("micro", "ls"), "durable-api")
	has(run("micro", "info", "durable-api"), "durable.api.enqueue-many", "1.0.0")
	has(run("micro", "stats", "durable-api"), "enqueue", "queues")

	// Our own command line shows why an execution can't run.
	run("pub", "-J", "durable.ready.default.greet.bad", `{"name":`)
	run("req", "--raw", "durable.api.wait", `{"executionId":"bad"}`)
	has(durable(t, "get", "bad", "--json", "--server", url).want(t, exitOK).out, `"kind":"invalid_input"`, `"bytes":8`)
	run("pub", "-J", "-H", "Durable-Timeout:soon", "durable.ready.default.greet.header", `{"name":"world"}`)
	run("req", "--raw", "durable.api.wait", `{"executionId":"header"}`)
	has(durable(t, "get", "header", "--server", url).want(t, exitOK).out, "failed", `header Durable-Timeout: "soon"`)
	run("pub", "-J", "durable.ready.default.nosuch.waits", `{}`)
	has(durable(t, "list", "--status", "ready", "--server", url).want(t, exitOK).out, "waits")
}

// printedRecord decodes a printed record. A line break may follow it.
func printedRecord(out string) (engine.Execution, error) {
	x, err := engine.DecodeRecord([]byte(out))
	if err != nil {
		x, err = engine.DecodeRecord([]byte(strings.TrimSuffix(out, "\n")))
	}
	return x, err
}

// heard reports whether there is a subscriber to a subject: the server refuses a request without
// one at once.
func heard(t *testing.T, url, subject string) bool {
	t.Helper()
	nc, err := nats.Connect(url)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err = nc.RequestWithContext(ctx, subject, nil)
	return !errors.Is(err, nats.ErrNoResponders)
}
