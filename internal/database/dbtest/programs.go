package dbtest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"syscall"
)

// BinVariable names the folder of the Postgres programs that tests start their servers with,
// instead of those of the machine.
const BinVariable = "TENANTRY_TEST_POSTGRES_BIN"

// ErrNoPostgres means that there is neither a server to use nor the programs to start one.
var ErrNoPostgres = errors.New("no Postgres: set TENANTRY_TEST_POSTGRES_URL or " + BinVariable +
	", or install the PostgreSQL server programs")

// programs returns the server's programs: those in the folder that BinVariable names, else those in
// the path or where Debian installs them, newest first.
func programs() (initdb, postgres string, err error) {
	dirs, err := binaries()
	if err != nil {
		return "", "", err
	}
	dir := os.Getenv(BinVariable)
	switch {
	case dir != "" && !slices.Contains(dirs, dir):
		return "", "", fmt.Errorf("%s=%s: the folder has no initdb and postgres", BinVariable, dir)
	case len(dirs) == 0:
		return "", "", ErrNoPostgres
	}
	return filepath.Join(dirs[0], "initdb"), filepath.Join(dirs[0], "postgres"), nil
}

// binaries returns the folders that have the server's programs, the preferred one first.
func binaries() ([]string, error) {
	dirs, err := filepath.Glob("/usr/lib/postgresql/*/bin") // where Debian installs them
	if err != nil {
		return nil, err
	}
	slices.Reverse(dirs)
	if found, err := exec.LookPath("initdb"); err == nil {
		dirs = slices.Insert(dirs, 0, filepath.Dir(found))
	}
	if dir := os.Getenv(BinVariable); dir != "" {
		dirs = slices.Insert(dirs, 0, dir)
	}
	return slices.DeleteFunc(dirs, func(dir string) bool {
		_, noInitdb := os.Stat(filepath.Join(dir, "initdb"))
		_, noPostgres := os.Stat(filepath.Join(dir, "postgres"))
		return noInitdb != nil || noPostgres != nil
	}), nil
}

// MajorVersion returns the major version of the programs that servers are started with.
func MajorVersion() (int, error) {
	_, postgres, err := programs()
	if err != nil {
		return 0, err
	}
	return majorVersion(filepath.Dir(postgres))
}

var version = regexp.MustCompile(`PostgreSQL\) (\d+)`)

// majorVersion returns the major version of the programs in a folder.
func majorVersion(dir string) (int, error) {
	out, err := exec.Command(filepath.Join(dir, "postgres"), "--version").Output()
	if err != nil {
		return 0, err
	}
	found := version.FindSubmatch(out)
	if found == nil {
		return 0, fmt.Errorf("postgres --version: %s", out)
	}
	return strconv.Atoi(string(found[1]))
}

// dropRoot makes a non-root user the owner of the folder and returns the attributes with which a
// command runs as that user, since Postgres and PgBouncer refuse to run as root. It returns nil if
// this process does not run as root.
func dropRoot(dir string) (*syscall.SysProcAttr, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	other, err := user.Lookup("postgres")
	if err != nil { // the programs were not installed by Debian's package
		other, err = user.Lookup("nobody")
	}
	if err != nil {
		return nil, err
	}
	uid, err := strconv.ParseUint(other.Uid, 10, 32)
	if err != nil {
		return nil, err
	}
	gid, err := strconv.ParseUint(other.Gid, 10, 32)
	if err != nil {
		return nil, err
	}
	as := &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
	return as, os.Chown(dir, int(uid), int(gid))
}
