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

// Standby starts a synchronous standby of a server, until the test ends. From then on a commit on
// the server is answered when the standby has it.
func Standby(t testing.TB, primary *Cluster) *Cluster {
	t.Helper()
	_, postgres, err := programs()
	if err == nil {
		postgres, err = filepath.EvalSymlinks(postgres) // pg_basebackup is beside the program, not beside a link to it
	}
	if err != nil {
		t.Fatal(err)
	}
	standby := OwnCluster(t) // for its folder, port and user
	standby.Stop(syscall.SIGINT)
	data := filepath.Join(standby.dir, "data")
	copied := exec.Command("sh", "-c", `rm -rf "$1" && "$2" -D "$1" -R -X stream -d "$3" && chmod 700 "$1"`, "sh",
		data, filepath.Join(filepath.Dir(postgres), "pg_basebackup"), primary.URL)
	copied.SysProcAttr = standby.as
	if out, err := copied.CombinedOutput(); err != nil {
		t.Fatalf("pg_basebackup: %s: %v", out, err)
	}
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
