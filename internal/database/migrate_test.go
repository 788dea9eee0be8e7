package database_test

import (
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"ariga.io/atlas/sql/migrate"

	"tenantry/internal/database"
	"tenantry/internal/database/dbtest"
)

// eachEmpty runs the test on an empty database of each dialect.
func eachEmpty(t *testing.T, test func(t *testing.T, opts database.Options)) {
	t.Run("sqlite", func(t *testing.T) { t.Parallel(); test(t, dbtest.EmptySQLite(t)) })
	t.Run("postgres", func(t *testing.T) { t.Parallel(); test(t, dbtest.EmptyPostgres(t)) })
}

func open(t *testing.T, opts database.Options) (*database.DB, *database.Migrator) {
	t.Helper()
	db, err := database.Open(t.Context(), opts, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	m, err := database.NewMigrator(db)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close(); db.Close() })
	return db, m
}

func up(t *testing.T, m *database.Migrator) []database.Version {
	t.Helper()
	applied, err := m.Up(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return applied
}

func status(t *testing.T, m *database.Migrator) []database.Version {
	t.Helper()
	versions, err := m.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return versions
}

func pending(t *testing.T, m *database.Migrator) int {
	t.Helper()
	n := 0
	for _, v := range status(t, m) {
		if !v.Applied {
			n++
		}
	}
	return n
}

func TestUp(t *testing.T) {
	t.Parallel()
	eachEmpty(t, func(t *testing.T, opts database.Options) {
		_, m := open(t, opts)
		if pending(t, m) < 2 {
			t.Fatal("an empty database has nothing pending")
		}
		if applied := up(t, m); applied[0].Name != "init" || applied[1].Name != "performance_indexes" {
			t.Fatalf("applied %v", applied)
		}
		if again := up(t, m); len(again) != 0 || pending(t, m) != 0 {
			t.Fatalf("applied again: %v", again)
		}
	})
}

func TestUp_concurrentCallsApplyOnce(t *testing.T) {
	t.Parallel()
	eachEmpty(t, func(t *testing.T, opts database.Options) {
		var (
			wait    sync.WaitGroup
			mu      sync.Mutex
			applied []database.Version
		)
		for range 4 {
			_, m := open(t, opts)
			wait.Go(func() {
				versions, err := m.Up(t.Context())
				if err != nil {
					t.Error(err)
				}
				mu.Lock()
				defer mu.Unlock()
				applied = append(applied, versions...)
			})
		}
		wait.Wait()
		_, m := open(t, opts)
		versions, err := m.Status(t.Context())
		if err != nil || len(applied) != len(versions) {
			t.Fatalf("applied %v of %v, %v", applied, versions, err)
		}
	})
}

func TestUp_invalidHistoryIsRefused(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ change, want string }{
		"half-applied": {"UPDATE atlas_schema_revisions SET applied = applied - 1",
			"applied in part"},
		"changed": {"UPDATE atlas_schema_revisions SET hash = 'other'",
			"was changed after it had been applied"},
		"of a program with newer versions": {"UPDATE atlas_schema_revisions SET version = '2099' || version",
			"another program"},
		"of a program with older versions": {"UPDATE atlas_schema_revisions SET version = '2000' || version",
			"another program"},
		"shared with a program": {"UPDATE atlas_schema_revisions SET version = '2000' || version WHERE " +
			"description = 'init'", "another program"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
				_, m := open(t, opts)
				if err := m.Exec(t.Context(), test.change); err != nil {
					t.Fatal(err)
				}
				if _, err := m.Up(t.Context()); err == nil || !strings.Contains(err.Error(), test.want) {
					t.Errorf("up: %v", err)
				}
				if _, err := m.Status(t.Context()); err == nil || !strings.Contains(err.Error(), test.want) {
					t.Errorf("status: %v", err)
				}
			})
		})
	}
}

func TestStatus_newerBuildReturnsErrNewer(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		_, m := open(t, opts)
		newer := "INSERT INTO atlas_schema_revisions SELECT '20990101000000', description, type, applied, total, " +
			"executed_at, " +
			"execution_time, error, error_stmt, hash, partial_hashes, operator_version FROM atlas_schema_revisions " +
			"LIMIT 1"
		if err := m.Exec(t.Context(), newer); err != nil {
			t.Fatal(err)
		}
		if _, err := m.Status(t.Context()); !errors.Is(err, database.ErrNewer) {
			t.Errorf("status: %v", err)
		}
		if _, err := m.PlanDown(t.Context(), "init", ""); !errors.Is(err, database.ErrNewer) {
			t.Errorf("down: %v", err)
		}
	})
}

func TestUp_changedFolderIsRefused(t *testing.T) {
	t.Parallel()
	eachEmpty(t, func(t *testing.T, opts database.Options) {
		db, _ := open(t, opts)
		dir := embedded(t, db.Dialect())
		if err := dir.WriteFile("20990101000000_evil.sql", []byte("SELECT 1;")); err != nil {
			t.Fatal(err)
		}
		m := database.NewMigratorOf(t, db, dir)
		if _, err := m.Up(t.Context()); err == nil || !strings.Contains(err.Error(), "do not match their atlas.sum") {
			t.Fatal(err)
		}
	})
}

func TestUp_failedMigrationIsRolledBack(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		db, good := open(t, opts)
		dir := embedded(t, db.Dialect())
		write := func(content string) {
			t.Helper()
			if err := dir.WriteFile("20990101000000_more.sql", []byte(content)); err != nil {
				t.Fatal(err)
			}
			sum, err := dir.Checksum()
			if err != nil {
				t.Fatal(err)
			}
			if err := migrate.WriteSumFile(dir, sum); err != nil {
				t.Fatal(err)
			}
		}
		write("CREATE TABLE more (id integer);\nCREATE TABLE users (id integer);\n")
		if _, err := database.NewMigratorOf(t, db, dir).Up(t.Context()); err == nil {
			t.Fatal("a second table users")
		}
		if pending(t, good) != 0 {
			t.Fatal("the failure left the history behind")
		}
		write("CREATE TABLE more (id integer);\n")
		if applied, err := database.NewMigratorOf(t, db, dir).Up(t.Context()); err != nil || len(applied) != 1 {
			t.Fatalf("the corrected migration: %v, %v", applied, err)
		}
	})
}
