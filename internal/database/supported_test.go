package database_test

import (
	"bytes"
	"database/sql"
	"log/slog"
	"net/url"
	"strings"
	"testing"

	"tenantry/internal/database"
	"tenantry/internal/database/dbtest"
)

func TestOpen_refusesDatabaseThatIsNotUTF8(t *testing.T) {
	t.Parallel()
	for _, encoding := range []string{"LATIN1", "SQL_ASCII"} {
		t.Run(encoding, func(t *testing.T) {
			t.Parallel()
			c := dbtest.OwnCluster(t)
			c.Exec("CREATE DATABASE other ENCODING '" + encoding + "' TEMPLATE template0")
			opts := c.Options
			opts.URL = dbtest.ReplaceDatabase(opts.URL, "other")
			_, err := database.Open(t.Context(), opts, slog.New(slog.DiscardHandler))
			if err == nil || !strings.Contains(err.Error(), `"other" has the encoding `+encoding) ||
				!strings.Contains(err.Error(), "ENCODING 'UTF8'") {
				t.Errorf("%v", err)
			}
		})
	}
}

// pretend makes the database report another server version: its function precedes the system's in
// the search path.
func pretend(t *testing.T, opts database.Options, number, version string) {
	t.Helper()
	db, err := sql.Open("postgres", opts.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	dsn, err := url.Parse(opts.URL)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []string{
		`CREATE FUNCTION public.current_setting(name text) RETURNS text LANGUAGE sql AS $$ SELECT CASE name
			WHEN 'server_version_num' THEN '` + number + `' WHEN 'server_version' THEN '` + version + `'
			ELSE pg_catalog.current_setting(name) END $$`,
		"ALTER DATABASE " + dsn.Path[1:] + " SET search_path = public, pg_catalog",
	} {
		if _, err := db.ExecContext(t.Context(), s); err != nil {
			t.Fatal(err)
		}
	}
}

func TestOpen_refusesPostgresThatIsTooOld(t *testing.T) {
	t.Parallel()
	opts := dbtest.EmptyPostgres(t)
	pretend(t, opts, "130014", "13.14")
	_, err := database.Open(t.Context(), opts, slog.New(slog.DiscardHandler))
	if err == nil || !strings.Contains(err.Error(),
		"PostgreSQL 13.14 is too old: Tenantry supports PostgreSQL 14 to 18") {
		t.Errorf("%v", err)
	}
}

func TestOpen_warnsOfPostgresThatIsNewerThanTested(t *testing.T) {
	t.Parallel()
	opts := dbtest.EmptyPostgres(t)
	pretend(t, opts, "190001", "19.1")
	var log bytes.Buffer
	db, err := database.Open(t.Context(), opts, slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	if got := log.String(); !strings.Contains(got, "level=WARN") || !strings.Contains(got, "version=19.1") ||
		!strings.Contains(got, `tested="14 to 18"`) {
		t.Errorf("logged %q", got)
	}
}

// asApp returns the options of a role that does not own the migrated database.
func asApp(t *testing.T) (*dbtest.Cluster, database.Options) {
	t.Helper()
	c := dbtest.OwnCluster(t)
	dbtest.MigrateUp(t, c.Options)
	c.Exec("CREATE ROLE app LOGIN")
	opts := c.Options
	opts.URL = strings.Replace(opts.URL, "postgres@", "app@", 1)
	return c, opts
}

func TestStatus_roleWithoutSelectNamesTheGrant(t *testing.T) {
	t.Parallel()
	c, opts := asApp(t)
	_, m := open(t, opts)
	if _, err := m.Status(t.Context()); err == nil ||
		!strings.Contains(err.Error(), "GRANT SELECT ON atlas_schema_revisions") {
		t.Errorf("without SELECT: %v", err)
	}
	c.Exec("GRANT SELECT ON atlas_schema_revisions TO app")
	if n := pending(t, m); n != 0 {
		t.Errorf("%d pending for a role that may read the history", n)
	}
}

func TestStatus_roleWithoutUsageNamesTheGrant(t *testing.T) {
	t.Parallel()
	c, opts := asApp(t)
	c.Exec("REVOKE USAGE ON SCHEMA public FROM PUBLIC")
	_, m := open(t, opts)
	if _, err := m.Status(t.Context()); err == nil || !strings.Contains(err.Error(), "GRANT USAGE ON SCHEMA") {
		t.Errorf("without USAGE: %v", err)
	}
}

func TestUp_roleWithoutCreateNamesTheGrant(t *testing.T) {
	t.Parallel()
	c := dbtest.OwnCluster(t)
	c.Exec("CREATE ROLE app LOGIN", "REVOKE CREATE ON SCHEMA public FROM PUBLIC")
	opts := c.Options
	opts.URL = strings.Replace(opts.URL, "postgres@", "app@", 1)
	_, m := open(t, opts)
	if _, err := m.Up(t.Context()); err == nil || !strings.Contains(err.Error(), "GRANT CREATE ON SCHEMA") {
		t.Errorf("without CREATE: %v", err)
	}
}
