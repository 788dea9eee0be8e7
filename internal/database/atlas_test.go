package database_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"entgo.io/ent/dialect"

	"tenantry/internal/database"
	"tenantry/internal/database/dbtest"
)

// cliSupports is the newest PostgreSQL that the pinned CLI works with: it reads settings that
// PostgreSQL 16 removed.
const cliSupports = 15

// atlas runs the pinned Atlas CLI against the database, as a deployment does, and returns its
// output.
func atlas(t *testing.T, db *database.DB, opts database.Options, args ...string) string {
	t.Helper()
	environment, url := "postgres", opts.URL
	if db.Dialect() == dialect.SQLite {
		environment, url = "sqlite", "sqlite://"+filepath.Join(opts.DataDir, database.SQLiteFile)+"?_fk=1"
	}
	cmd := exec.CommandContext(t.Context(), "go",
		append([]string{"tool", "-modfile=internal/tools/atlas.mod", "atlas", "migrate", "--env", environment},
			args...)...)
	cmd.Dir = filepath.Join("..", "..")
	cmd.Env = append(os.Environ(), "DATABASE_URL="+url, "ATLAS_DEV_URL=")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("atlas %v: %v\n%s", args, err, out)
	}
	return string(out)
}

// On Postgres it covers the pinned CLI v0.13.1 on PostgreSQL 15 or older. It covers neither a
// released CLI nor a newer server: no released CLI can be installed by the Go module proxy, and the
// pinned one fails on newer servers.
func TestAtlas_CLIAndBinaryShareOneHistory(t *testing.T) {
	t.Parallel()
	test := func(t *testing.T, opts database.Options) {
		db, m := open(t, opts)
		atlas(t, db, opts, "apply", "1")
		later := len(status(t, m)) - 1
		if applied := up(t, m); len(applied) != later || applied[0].Name != "performance_indexes" {
			t.Fatalf("the binary applied %v after the CLI's first", applied)
		}
		if out := atlas(t, db, opts, "status"); !strings.Contains(out, "Already at latest version") {
			t.Errorf("the CLI does not know what the binary applied:\n%s", out)
		}
		plan, err := m.PlanDown(t.Context(), "init", "")
		if err != nil {
			t.Fatal(err)
		}
		if err := m.Down(t.Context(), plan); err != nil {
			t.Fatal(err)
		}
		if out := atlas(t, db, opts, "apply"); !strings.Contains(out, fmt.Sprintf("%d migrations", later)) {
			t.Errorf("the CLI does not know what the binary reverted:\n%s", out)
		}
		if n := pending(t, m); n != 0 {
			t.Errorf("%d pending after the CLI has applied all", n)
		}
	}
	t.Run("sqlite", func(t *testing.T) { t.Parallel(); test(t, dbtest.EmptySQLite(t)) })
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		c := dbtest.OwnClusterUpTo(t, cliSupports, "THE PINNED ATLAS CLI BESIDE THE BINARY ON POSTGRES")
		test(t, c.Options)
	})
}
