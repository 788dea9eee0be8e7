package database

import (
	"context"
	"testing"
	"time"

	"ariga.io/atlas/sql/migrate"
	"entgo.io/ent/dialect"
	"github.com/google/uuid"
)

// NewMigratorOf returns a migrator for a folder instead of the embedded one.
func NewMigratorOf(t *testing.T, db *DB, dir migrate.Dir) *Migrator {
	t.Helper()
	m, err := newMigrator(db, dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.Close() })
	return m
}

// Exec runs a statement on the migrator's connections.
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

// DeleteExpiredStatement returns the first statement of DeleteExpired.
func DeleteExpiredStatement(db *DB, table string, now time.Time) (query string, args []any) {
	return db.expiredStatement(table), portable([]any{time.Time{}, now})
}

// ChangeReader reads the change log as FollowChanges does.
type ChangeReader struct{ changeReader }

// NewChangeReader returns a reader of the change log until the test ends.
func NewChangeReader(t *testing.T, db *DB) ChangeReader {
	t.Helper()
	r, err := db.newChangeReader()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	return ChangeReader{r}
}

// Read returns the keys of the changes since the last read, or that everything may have changed.
func (r ChangeReader) Read(t *testing.T) (keys []uuid.UUID, everything bool) {
	t.Helper()
	keys, everything, err := r.read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return keys, everything
}

// ReadError returns the error of a read.
func (r ChangeReader) ReadError(t *testing.T) error {
	t.Helper()
	_, _, err := r.read(t.Context())
	return err
}

// Age makes the last read older by d.
func (r ChangeReader) Age(d time.Duration) {
	if l, ok := r.changeReader.(*changeLog); ok {
		l.readAt = l.readAt.Add(-d)
	}
}

// AgeServer makes the last read older by d, by the clock of the server.
func (r ChangeReader) AgeServer(d time.Duration) {
	if l, ok := r.changeReader.(*changeLog); ok {
		l.last.at = l.last.at.Add(-d)
	}
}

// Ahead adds n to the transaction ID of the last read.
func (r ChangeReader) Ahead(n int64) {
	if l, ok := r.changeReader.(*changeLog); ok {
		l.last.xmax += n
	}
}

// ReadChanges is the statement of the reader on Postgres.
const ReadChanges = readChanges

// Age makes every position of the trimmer older by d.
func (t *ChangeTrimmer) Age(d time.Duration) {
	for i := range t.seen {
		t.seen[i].at = t.seen[i].at.Add(-d)
	}
}
