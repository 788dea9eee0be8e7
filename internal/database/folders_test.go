package database_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"ariga.io/atlas/sql/migrate"
	"entgo.io/ent/dialect"
	"entgo.io/ent/dialect/sql/schema"

	entmigrate "tenantry/ent/migrate"
	"tenantry/internal/database"
	"tenantry/internal/database/dbtest"
	"tenantry/migrations"
)

func TestFolders_haveTheSameVersions(t *testing.T) {
	t.Parallel()
	names := func(database string) (names []string) {
		for _, f := range files(t, embedded(t, database)) {
			names = append(names, f.Name())
		}
		return names
	}
	if a, b := names(dialect.SQLite), names(dialect.Postgres); !slices.Equal(a, b) {
		t.Errorf("sqlite has %v, postgres %v", a, b)
	}
}

// The migrations must create the declared schema; `task migrate -- name` writes a missing one.
func TestFolders_createTheSchema(t *testing.T) {
	t.Parallel()
	eachEmpty(t, func(t *testing.T, opts database.Options) {
		db, _ := open(t, opts)
		dir, err := migrate.NewLocalDir(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		before := files(t, embedded(t, db.Dialect()))
		for _, f := range before {
			if err := os.WriteFile(filepath.Join(dir.Path(), f.Name()), f.Bytes(), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		sum, err := dir.Checksum()
		if err != nil {
			t.Fatal(err)
		}
		if err := migrate.WriteSumFile(dir, sum); err != nil {
			t.Fatal(err)
		}
		differ, err := schema.NewMigrate(database.EntDriver(db), schema.WithDir(dir),
			schema.WithMigrationMode(schema.ModeReplay),
			schema.WithDropColumn(true), schema.WithDropIndex(true))
		if err != nil {
			t.Fatal(err)
		}
		tables, err := schema.CopyTables(entmigrate.Tables) // NamedDiff changes its tables
		if err != nil {
			t.Fatal(err)
		}
		if err := differ.NamedDiff(t.Context(), "drift", tables...); err != nil {
			t.Fatal(err)
		}
		for _, f := range files(t, dir) {
			if strings.Contains(f.Name(), "drift") {
				t.Errorf("statements are missing in the folder:\n%s", f.Bytes())
			}
		}
	})
}

func TestIndexes_exist(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		query := "SELECT name FROM sqlite_master WHERE type = 'index'"
		if db.Dialect() == dialect.Postgres {
			query = "SELECT indexname FROM pg_indexes"
		}
		rows, err := db.SQL.QueryContext(t.Context(), query)
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close()
		found := map[string]bool{}
		for rows.Next() {
			var name string
			if err := rows.Scan(&name); err != nil {
				t.Fatal(err)
			}
			found[name] = true
		}
		if err := rows.Err(); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{
			"idx_user_email_tenant", "idx_user_oauth", "idx_user_tenant_id", "idx_refresh_token_user_revoked",
			"idx_refresh_token_expires", "idx_oauth_state_expires", "idx_oauth_state_provider",
		} {
			if !found[name] {
				t.Errorf("no index %s", name)
			}
		}
	})
}

func embedded(t *testing.T, name string) migrate.Dir {
	t.Helper()
	dir, err := migrations.Dir(map[string]string{dialect.SQLite: "sqlite", dialect.Postgres: "postgres"}[name])
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func files(t *testing.T, dir migrate.Dir) []migrate.File {
	t.Helper()
	files, err := dir.Files()
	if err != nil {
		t.Fatal(err)
	}
	return files
}
