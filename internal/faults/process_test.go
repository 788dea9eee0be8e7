package faults_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"tenantry/internal/database"
	_ "tenantry/internal/server" // a change of the program invalidates cached test results
)

var long = flag.Bool("long", false, "run every round of the fault tests")

// size is how much of something a test does: some for every commit, and all with -long.
func size[T any](some, all T) T {
	if *long {
		return all
	}
	return some
}

var scratch string

func TestMain(m *testing.M) {
	flag.Parse()
	var err error
	if scratch, err = os.MkdirTemp("", "tenantry-faults-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	if err := os.Chmod(scratch, 0o755); err != nil { // a test starts the program as another user
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	_ = os.RemoveAll(scratch)
	os.Exit(code)
}

// version is that of the program that is built.
const version = "v1.2.3-faults"

// binary builds the program, once, as the image does: without a repository.
var binary = sync.OnceValues(func() (string, error) {
	path := filepath.Join(scratch, "tenantry")
	out, err := exec.Command("go", "build", "-buildvcs=false", "-ldflags=-s -w -X tenantry/internal/server.version="+
		version, "-o", path, "tenantry/cmd/tenantry").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("build the program: %w\n%s", err, out)
	}
	return path, nil
})

// process is `tenantry serve`, as an operator starts it.
type process struct {
	url string

	cmd     *exec.Cmd
	serving chan struct{}
	exited  chan struct{}

	mu       sync.Mutex
	log      []string
	answered int
}

// serve starts the program on a database and waits until it serves. What env sets wins over the
// settings of these tests.
func serve(t testing.TB, opts database.Options, env ...string) *process {
	t.Helper()
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, "serve")
	cmd.Env = slices.Concat(settings(opts), env)
	p := launch(t, cmd)
	select {
	case <-p.serving:
	case <-p.exited:
		t.Fatalf("it ended instead of serving:\n%s", p.logged())
	case <-time.After(30 * time.Second):
		t.Fatalf("it does not serve:\n%s", p.logged())
	}
	return p
}

// launch starts a command and follows its log. The process is killed at the end of the test.
func launch(t testing.TB, cmd *exec.Cmd) *process {
	t.Helper()
	p := &process{cmd: cmd, serving: make(chan struct{}), exited: make(chan struct{})}
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go p.follow(stderr)
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-p.exited
	})
	return p
}

func settings(opts database.Options) []string {
	return []string{
		"TENANTRY_LISTEN=127.0.0.1:0", "TENANTRY_PUBLIC_URL=https://id.acme.test", "TENANTRY_LOG_FORMAT=json",
		"TENANTRY_DATABASE_URL=" + opts.URL, "TENANTRY_DATA_DIR=" + opts.DataDir, "TENANTRY_MIGRATE=true",
		"TENANTRY_SECRET=a secret for tests that is long enough 4711",
		"TENANTRY_DEFAULT_TENANT=acme", "TENANTRY_BOOTSTRAP_EMAIL=" + ownerEmail, "TENANTRY_BOOTSTRAP_PASSWORD=" +
			password,
		// All clients have one address, and one owner.
		"TENANTRY_SIGN_IN_ACCOUNT_ATTEMPTS=1000000", "TENANTRY_SIGN_IN_ADDRESS_ATTEMPTS=1000000",
		"TENANTRY_NETWORK_FLOWS=0", "TENANTRY_NETWORK_REGISTRATIONS=0",
	}
}

// follow reads the log until the process ends.
func (p *process) follow(stderr io.Reader) {
	defer close(p.exited)
	lines := bufio.NewScanner(stderr)
	lines.Buffer(nil, 1<<20) // the stack of a panic is one line
	for lines.Scan() {
		p.note(lines.Bytes())
	}
	_ = p.cmd.Wait() // its state says how it ended
}

// note keeps a line of the log. Those that say that a request was answered are only counted.
func (p *process) note(line []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if bytes.Contains(line, []byte(`"msg":"request",`)) {
		p.answered++
		return
	}
	p.log = append(p.log, string(line))
	var entry struct{ Msg, Address string }
	if json.Unmarshal(line, &entry) == nil && entry.Msg == "serving" {
		p.url = "http://" + entry.Address
		close(p.serving)
	}
}

// logged returns the log without its lines about requests that were answered.
func (p *process) logged() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Join(p.log, "\n")
}

// answers returns how many requests the process has answered, by its own account.
func (p *process) answers() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.answered
}

// connection is what names one connection in the text of an error.
var connection = regexp.MustCompile(`[0-9.]+:[0-9]+->`)

// causes tells why requests failed, by the log, and how many of them for each reason.
func (p *process) causes() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	counts := map[string]int{}
	for _, line := range p.log {
		var entry struct{ Msg, Error string }
		if json.Unmarshal([]byte(line), &entry) == nil && entry.Msg == "request failed" {
			counts[connection.ReplaceAllString(entry.Error, "")]++
		}
	}
	var s strings.Builder
	for _, cause := range slices.Sorted(maps.Keys(counts)) {
		fmt.Fprintf(&s, "\n%7d %s", counts[cause], cause)
	}
	return s.String()
}

func (p *process) signal(t testing.TB, sig syscall.Signal) {
	t.Helper()
	if err := p.cmd.Process.Signal(sig); err != nil {
		t.Fatal(err)
	}
}

// wait returns the exit code of a process that is about to end, -1 if a signal has ended it.
func (p *process) wait(t testing.TB, patience time.Duration) int {
	t.Helper()
	select {
	case <-p.exited:
		return p.cmd.ProcessState.ExitCode()
	case <-time.After(patience):
		t.Fatalf("it still runs after %s:\n%s", patience, p.logged())
		return 0
	}
}

// kill ends the process without giving it a chance to do anything about it.
func (p *process) kill(t testing.TB) {
	t.Helper()
	p.signal(t, syscall.SIGKILL)
	p.wait(t, 10*time.Second)
}

// stop ends the process as an operator does.
func (p *process) stop(t testing.TB) {
	t.Helper()
	p.signal(t, syscall.SIGTERM)
	if code := p.wait(t, 40*time.Second); code != 0 {
		t.Fatalf("exit code %d:\n%s", code, p.logged())
	}
}

// within polls until the condition holds, and fails the test if that takes longer than it may.
func within(t testing.TB, patience time.Duration, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within %s: %s", patience, what)
		}
	}
}
