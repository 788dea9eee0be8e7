package dbtest

import (
	"database/sql"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	_ "github.com/lib/pq" // database/sql driver "postgres"
)

// keeper runs a server, and stops it when the standard input of the script closes: it closes also
// when the test process dies. $0 is the folder of the server, $@ its command. A signal to the process
// group must not end the script before the server.
const keeper = `trap : INT TERM
"$@" >"$0/log" 2>&1 &
while read -r _; do :; done
kill -INT "$(head -n 1 "$0/data/postmaster.pid")"
wait
rm -rf "$0"`

// volatile are the settings of a fast server that loses its data in a crash of the machine.
var volatile = []string{"-c", "fsync=off", "-c", "synchronous_commit=off", "-c", "full_page_writes=off"}

// StartPostgres starts a temporary server on a free port of 127.0.0.1, and returns its URL and a
// function that stops it. If durable, each commit waits for the disk.
func StartPostgres(durable bool) (url string, stop func(), err error) {
	initdb, postgres, err := programs()
	if err != nil {
		return "", nil, err
	}
	// The path must be short: the folder has the socket, whose path has at most 107 bytes.
	dir, err := os.MkdirTemp("", "tenantry-pg-")
	if err != nil {
		return "", nil, err
	}
	as, err := dropRoot(dir)
	if err != nil {
		return "", nil, fmt.Errorf("change the owner of the folder: %w", err)
	}
	data := filepath.Join(dir, "data")
	create := initialise(initdb, data)
	create.SysProcAttr = as
	if out, err := create.CombinedOutput(); err != nil {
		return "", nil, fmt.Errorf("initdb: %s: %w", out, err)
	}
	port, err := freePort()
	if err != nil {
		return "", nil, err
	}
	serve := []string{
		"-c", keeper, dir, postgres, "-D", data, "-k", dir, "-p", port, "-c", "listen_addresses=127.0.0.1",
		"-c", "max_connections=300", "-c", "log_line_prefix=" + logLinePrefix,
	}
	if !durable {
		serve = append(serve, volatile...)
	}
	cmd := exec.Command("sh", serve...)
	cmd.SysProcAttr = as
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return "", nil, err
	}
	if err := cmd.Start(); err != nil {
		return "", nil, err
	}
	stop = func() {
		_ = stdin.Close()
		_ = cmd.Wait()
	}
	url = fmt.Sprintf("postgres://postgres@127.0.0.1:%s/postgres?sslmode=disable", port)
	if err := await(url); err != nil {
		log, _ := os.ReadFile(filepath.Join(dir, "log"))
		stop()
		return "", nil, fmt.Errorf("start Postgres: %w\n%s", err, log)
	}
	return url, stop, nil
}

// initialise returns the command that creates the data folder of a server.
func initialise(initdb, data string) *exec.Cmd {
	return exec.Command(initdb, "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "-N")
}

func freePort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	return port, err
}

func await(url string) error {
	db, err := sql.Open("postgres", url)
	if err != nil {
		return err
	}
	defer db.Close()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if err = db.Ping(); err == nil || time.Now().After(deadline) {
			return err
		}
	}
}

// ReplaceDatabase returns the URL with another database in its path.
func ReplaceDatabase(url, name string) string {
	base, query, _ := strings.Cut(url, "?")
	return base[:strings.LastIndexByte(base, '/')+1] + name + "?" + query
}
