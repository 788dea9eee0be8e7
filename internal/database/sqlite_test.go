package database_test

import (
	"fmt"
	"slices"
	"testing"

	"tenantry/internal/database/dbtest"
)

// S-06: SQLite has no known corruption bug, checks references and has one writer at a time.
func TestSQLite_isRecentAndChecksReferences(t *testing.T) {
	t.Parallel()
	db := dbtest.Open(t, dbtest.SQLite(t))
	var version, journal string
	var foreignKeys, timeout int
	for query, into := range map[string]any{
		"SELECT sqlite_version()": &version, "PRAGMA journal_mode": &journal,
		"PRAGMA foreign_keys": &foreignKeys, "PRAGMA busy_timeout": &timeout,
	} {
		if err := db.SQL.QueryRowContext(t.Context(), query).Scan(into); err != nil {
			t.Fatal(query, err)
		}
	}
	number := make([]int, 3)
	if _, err := fmt.Sscanf(version, "%d.%d.%d", &number[0], &number[1], &number[2]); err != nil {
		t.Fatal(version, err)
	}
	if slices.Compare(number, []int{3, 51, 3}) < 0 || journal != "wal" || foreignKeys != 1 || timeout == 0 {
		t.Errorf("version %s, journal %s, foreign keys %d, timeout %d", version, journal, foreignKeys, timeout)
	}
	if _, err := db.SQL.ExecContext(t.Context(), `INSERT INTO user_roles
		(tenant_id, user_id, role_id, created_at, updated_at) VALUES ('a', 'b', 'c', 0, 0)`); err == nil {
		t.Error("a reference to a missing row is accepted")
	}
}
