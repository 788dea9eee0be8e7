package dbtest

import (
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"tenantry/internal/database"
)

// Standby starts a synchronous standby of a server, until the test ends. It restarts the server,
// which from then on acknowledges a commit once the standby has it.
func Standby(t testing.TB, primary *Cluster) *Cluster {
	t.Helper()
	standby := OwnCluster(t) // for its folder, port and user
	standby.Stop(syscall.SIGINT)
	// Copying a running server needs pg_basebackup, which some distributions of PostgreSQL lack.
	primary.Stop(syscall.SIGINT)
	connect := "primary_conninfo = '" + primary.URL + "'"
	copied := exec.Command("sh", "-c", `rm -rf "$2" && cp -a "$1" "$2" && touch "$2/standby.signal" &&
			echo "$3" >>"$2/postgresql.auto.conf"`,
		"sh", filepath.Join(primary.dir, "data"), filepath.Join(standby.dir, "data"), connect)
	copied.SysProcAttr = standby.as
	if out, err := copied.CombinedOutput(); err != nil {
		t.Fatalf("copy the server: %s: %v", out, err)
	}
	primary.Start()
	standby.command = append(slices.Clone(standby.command), "-c", "synchronous_standby_names=")
	standby.Start()
	primary.Exec("ALTER SYSTEM SET synchronous_standby_names = '*'", "SELECT pg_reload_conf()")
	return standby
}

// Promote makes a standby the primary.
func (c *Cluster) Promote() {
	c.t.Helper()
	c.Exec("SELECT pg_promote()")
}

// Both returns the options of the database of a server and its standby: connections go to the
// writable one.
func Both(primary, standby *Cluster) database.Options {
	opts := primary.Options
	_, hostOfStandby, _ := strings.Cut(standby.URL, "@")
	hostOfStandby, _, _ = strings.Cut(hostOfStandby, "/")
	before, after, _ := strings.Cut(primary.URL, "/postgres?")
	opts.URL = before + "," + hostOfStandby + "/postgres?" + after + "&target_session_attrs=read-write"
	return opts
}
