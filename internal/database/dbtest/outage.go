package dbtest

import (
	"database/sql"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"tenantry/internal/database"
)

// Cluster is the Postgres server of one test, which the test can stop, kill and start again at the
// same address. It keeps acknowledged commits, except after a power cut.
type Cluster struct {
	// Options are those of its one database, which is empty.
	database.Options

	t       testing.TB
	command []string
	as      *syscall.SysProcAttr
	dir     string
	ended   chan struct{}
}

// clusterKeeper stops the server with the process that started it, as keeper does, and ends with
// the server.
const clusterKeeper = `exec 3<&0
"$@" >>"$0/log" 2>&1 3<&- &
server=$!
{ while read -r _; do :; done; kill -INT "$server"; } <&3 &
wait "$server"
kill $!`

// OwnCluster starts a server until the test ends.
func OwnCluster(t testing.TB) *Cluster {
	t.Helper()
	initdb, postgres, err := programs()
	if errors.Is(err, ErrNoPostgres) && os.Getenv("CI") != "true" {
		t.Skipf("NOT TESTED ON POSTGRES: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return ownCluster(t, initdb, postgres)
}

// OwnClusterUpTo is OwnCluster with the newest version on the machine that is at most major.
// Without such a version the test is skipped with the reason.
func OwnClusterUpTo(t testing.TB, major int, reason string) *Cluster {
	t.Helper()
	dirs, err := binaries()
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range dirs {
		if v, err := majorVersion(dir); err == nil && v <= major {
			return ownCluster(t, filepath.Join(dir, "initdb"), filepath.Join(dir, "postgres"))
		}
	}
	t.Skipf("NOT TESTED: %s: there is no PostgreSQL %d or older among %q", reason, major, dirs)
	return nil
}

func ownCluster(t testing.TB, initdb, postgres string) *Cluster {
	t.Helper()
	// Not t.TempDir: another user may not enter its parent.
	dir, err := os.MkdirTemp("", "tenantry-pg-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	c := &Cluster{t: t, dir: dir}
	if c.as, err = dropRoot(dir); err != nil {
		t.Fatal(err)
	}
	data := filepath.Join(c.dir, "data")
	create := initialise(initdb, data)
	create.SysProcAttr = c.as
	if out, err := create.CombinedOutput(); err != nil {
		t.Fatalf("initdb: %s: %v", out, err)
	}
	port, err := freePort()
	if err != nil {
		t.Fatal(err)
	}
	c.command = []string{"-c", clusterKeeper, c.dir, postgres, "-D", data, "-p", port, "-c",
		"listen_addresses=127.0.0.1",
		"-c", "unix_socket_directories=", "-c", "fsync=off"}
	c.Options = postgresOptions("postgres://postgres@127.0.0.1:" + port + "/postgres?sslmode=disable")
	c.Start()
	t.Cleanup(func() {
		select {
		case <-c.ended:
		default:
			c.Stop(syscall.SIGINT)
		}
	})
	return c
}

// Start starts the server and waits until it accepts connections. The files of a killed server may
// make the first attempts fail.
func (c *Cluster) Start() {
	c.t.Helper()
	err := c.attempt()
	for deadline := time.Now().Add(20 * time.Second); errors.Is(err, errEnded) && time.Now().Before(deadline); {
		err = c.attempt()
	}
	if err != nil {
		log, _ := os.ReadFile(filepath.Join(c.dir, "log"))
		c.t.Fatalf("start Postgres: %v\n%s", err, log)
	}
}

var errEnded = errors.New("it has ended")

func (c *Cluster) attempt() error {
	shell := exec.Command("sh", c.command...)
	shell.SysProcAttr = c.as
	// Stays open until this process ends, which stops the keeper.
	if _, err := shell.StdinPipe(); err != nil {
		return err
	}
	if err := shell.Start(); err != nil {
		return err
	}
	ended, answered := make(chan struct{}), make(chan error, 1)
	c.ended = ended
	go func() {
		defer close(ended)
		_ = shell.Wait() // its exit code is that of a stopped server
	}()
	go func() { answered <- await(c.URL) }()
	select {
	case err := <-answered:
		return err
	case <-ended:
		return errEnded
	}
}

// Stop sends a signal to the server and waits until it has ended. SIGINT is Postgres' fast
// shutdown, SIGQUIT the immediate one, SIGKILL a crash.
func (c *Cluster) Stop(sig syscall.Signal) {
	c.t.Helper()
	pid, err := c.pid()
	if err == nil {
		err = syscall.Kill(pid, sig)
	}
	if err != nil {
		c.t.Fatalf("stop Postgres: %v", err)
	}
	<-c.ended
}

func (c *Cluster) pid() (int, error) {
	content, err := os.ReadFile(filepath.Join(c.dir, "data", "postmaster.pid"))
	if err != nil {
		return 0, err
	}
	first, _, _ := strings.Cut(string(content), "\n")
	pid, err := strconv.Atoi(first)
	if err != nil {
		return 0, fmt.Errorf("read postmaster.pid: %w", err)
	}
	return pid, nil
}

// Exec runs statements outside any pool. Each call opens a connection, which may write even if
// default_transaction_read_only is on.
func (c *Cluster) Exec(statements ...string) {
	c.t.Helper()
	db, err := sql.Open("postgres", c.URL)
	if err != nil {
		c.t.Fatal(err)
	}
	defer db.Close()
	for _, s := range statements {
		if _, err := db.ExecContext(c.t.Context(), s); err != nil {
			c.t.Fatalf("%s: %v", s, err)
		}
	}
}
