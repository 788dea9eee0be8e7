package dbtest

import (
	"fmt"
	"net"
	"net/url"
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

// PgBouncer is the pooler of one test in front of a database.
type PgBouncer struct {
	// Options open the database through the pooler.
	database.Options

	t    testing.TB
	dir  string
	port string
	dsn  *url.URL
}

// pgbouncerKeeper stops the pooler when its standard input ends, so that it ends with the process
// that started it.
const pgbouncerKeeper = `exec 3<&0
"$@" >"$0/log" 2>&1 3<&- &
pooler=$!
{ while read -r _; do :; done; kill -TERM "$pooler"; } <&3 &
wait "$pooler"
kill $!`

// ThroughPgBouncer starts a PgBouncer in front of the database of opts, until the test ends. Each
// setting is a line of pgbouncer.ini. Without the program the test is skipped, unless CI=true.
func ThroughPgBouncer(t testing.TB, opts database.Options, settings ...string) *PgBouncer {
	t.Helper()
	program, err := exec.LookPath("pgbouncer")
	if err != nil {
		program, err = exec.LookPath("/usr/sbin/pgbouncer") // where Debian installs it, outside the path of most users
	}
	if err != nil && os.Getenv("CI") != "true" {
		t.Skipf("NOT TESTED THROUGH A POOLER: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "tenantry-pgbouncer-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	dsn, err := url.Parse(opts.URL)
	if err != nil {
		t.Fatal(err)
	}
	port, err := freePort()
	if err != nil {
		t.Fatal(err)
	}
	p := &PgBouncer{Options: opts, t: t, dir: dir, port: port, dsn: dsn}
	p.configure(settings)
	through := *dsn
	through.Host = net.JoinHostPort("127.0.0.1", port)
	p.URL = through.String()
	p.start(program)
	return p
}

// configure writes the configuration: no authentication, and the database server of dsn for every
// database.
func (p *PgBouncer) configure(settings []string) {
	p.t.Helper()
	users := filepath.Join(p.dir, "users")
	lines := append([]string{
		"[databases]", fmt.Sprintf("* = host=%s port=%s", p.dsn.Hostname(), p.dsn.Port()),
		"[pgbouncer]", "listen_addr = 127.0.0.1", "listen_port = " + p.port, "unix_socket_dir =",
		"auth_type = trust", "auth_file = " + users, "pidfile = " + filepath.Join(p.dir, "pid"),
	}, settings...)
	for name, content := range map[string]string{
		users:                       strconv.Quote(p.dsn.User.Username()) + ` ""` + "\n",
		filepath.Join(p.dir, "ini"): strings.Join(lines, "\n") + "\n",
	} {
		if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
			p.t.Fatal(err)
		}
	}
}

func (p *PgBouncer) start(program string) {
	p.t.Helper()
	cmd := exec.Command("sh", "-c", pgbouncerKeeper, p.dir, program, filepath.Join(p.dir, "ini"))
	as, err := dropRoot(p.dir)
	if err != nil {
		p.t.Fatal(err)
	}
	cmd.SysProcAttr = as
	stdin, err := cmd.StdinPipe()
	if err != nil {
		p.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() {
		_ = stdin.Close()
		_ = cmd.Wait()
	})
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		conn, err := net.Dial("tcp", "127.0.0.1:"+p.port)
		if err == nil {
			_ = conn.Close()
			return
		}
		if time.Now().After(deadline) {
			log, _ := os.ReadFile(filepath.Join(p.dir, "log"))
			p.t.Fatalf("start PgBouncer: %v\n%s", err, log)
		}
	}
}

// Reload changes the settings of the running pooler.
func (p *PgBouncer) Reload(settings ...string) {
	p.t.Helper()
	p.configure(settings)
	content, err := os.ReadFile(filepath.Join(p.dir, "pid"))
	if err != nil {
		p.t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(content)))
	if err == nil {
		err = syscall.Kill(pid, syscall.SIGHUP)
	}
	if err != nil {
		p.t.Fatalf("reload PgBouncer: %v", err)
	}
}
