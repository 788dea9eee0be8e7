package database

import (
	"context"
	"testing"
	"time"

	"ariga.io/atlas/sql/migrate"
	"entgo.io/ent/dialect"
)

// NewMigratorOf returns a migrator of another folder than the embedded one.
func NewMigratorOf(t *testing.T, db *DB, dir migrate.Dir) *Migrator {
	t.Helper()
	m, err := newMigrator(db, dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.Close() })
	return m
}

// Exec runs a statement beside the migrator.
func (m *Migrator) Exec(ctx context.Context, query string) error {
	_, err := m.db.ExecContext(ctx, query)
	return err
}

// EntDriver returns the driver under the client.
func EntDriver(db *DB) dialect.Driver { return db.driver.Driver }

// SetDeadline shortens the deadline of statements.
func SetDeadline(db *DB, d time.Duration) {
	db.driver.pools.read.deadline, db.driver.pools.write.deadline = d, d
}

// DeleteExpiredStatement is the first statement of DeleteExpired.
func DeleteExpiredStatement(db *DB, table string, now time.Time) (query string, args []any) {
	return db.expiredStatement(table), portable([]any{time.Time{}, now})
}
