package database_test

import (
	"strings"
	"testing"
	"time"

	"tenantry/internal/database"
	"tenantry/internal/database/dbtest"
)

// Requests queue behind a migration that waits for a lock, so it waits for a short time and tries
// again.
func TestUp_waitForLockedTableDoesNotBlockRequests(t *testing.T) {
	t.Parallel()
	db := dbtest.Open(t, dbtest.Postgres(t))
	m, err := database.NewMigrator(db)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	plan, err := m.PlanDown(t.Context(), "expired_sessions", "")
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Down(t.Context(), plan); err != nil {
		t.Fatal(err)
	}
	dump, err := db.SQL.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := dump.ExecContext(t.Context(),
		"LOCK TABLE oauth_providers IN ACCESS SHARE MODE"); err != nil { // as pg_dump does
		t.Fatal(err)
	}
	migrated := make(chan error)
	go func() { _, err := m.Up(t.Context()); migrated <- err }()
	for began := time.Now(); time.Since(began) < 3*time.Second; time.Sleep(50 * time.Millisecond) {
		// Behind a migration that keeps waiting, this statement would exceed statement_timeout.
		if err := query(t.Context(), db, "SELECT count(*) FROM users", new(any)); err != nil {
			t.Fatal(err)
		}
	}
	if err := dump.Commit(); err != nil {
		t.Fatal(err)
	}
	if err := <-migrated; err != nil {
		t.Error(err)
	}
}

// A role that may not see the state of other roles' connections cannot know whether one of them is
// an instance of the previous version.
func TestFinishChangeLog_hiddenRolesAreRefused(t *testing.T) {
	t.Parallel()
	opts := dbtest.Postgres(t)
	p := populate(t, dbtest.Open(t, opts))
	var role string
	if err := p.SQL.QueryRowContext(t.Context(), "SELECT current_database() || '_role'").Scan(&role); err != nil {
		t.Fatal(err)
	}
	p.exec(t, "CREATE ROLE "+role+" LOGIN")
	t.Cleanup(func() { _, _ = p.SQL.Exec("DROP ROLE " + role) })
	other := opts
	other.URL = strings.Replace(opts.URL, "postgres@", role+"@", 1)
	if _, err := dbtest.Open(t, other).FinishChangeLog(t.Context(), false); err == nil ||
		!strings.Contains(err.Error(), "other roles") {
		t.Errorf("finished: %v", err)
	}
}
