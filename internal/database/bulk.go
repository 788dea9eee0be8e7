package database

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"
	"strings"

	"entgo.io/ent/dialect"
)

// Bulk writes many rows fast, without the ent client: values are not validated, default values are
// not set, and rows are not filtered by tenant.
type Bulk struct {
	tx      *sql.Tx
	dialect string
}

// Load runs load in one transaction, on a separate connection without statement timeout, and then
// updates the planner's statistics.
func Load(ctx context.Context, db *DB, load func(*Bulk) error) (err error) {
	conn, err := openMigrations(db.opts)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	conn.SetMaxOpenConns(1)
	refresh := "VACUUM ANALYZE" // VACUUM also makes index-only scans possible
	if db.Dialect() == dialect.SQLite {
		refresh = "ANALYZE"
		if _, err := conn.ExecContext(ctx, "PRAGMA foreign_keys = ON"); err != nil {
			return fmt.Errorf("turn foreign keys on: %w", err)
		}
	}
	tx, err := conn.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	if err := load(&Bulk{tx, db.Dialect()}); err != nil {
		_ = tx.Rollback() // its error would hide the cause
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return err
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	if _, err := conn.ExecContext(ctx, refresh); err != nil {
		return fmt.Errorf("update the planner's statistics: %w", err)
	}
	return nil
}

// Insert writes rows whose values are in the order of the columns: by COPY on Postgres.
func (b *Bulk) Insert(ctx context.Context, table string, columns []string, rows iter.Seq[[]any]) (err error) {
	into := table + " (" + strings.Join(columns, ", ") + ")"
	values := " VALUES (?" + strings.Repeat(", ?", len(columns)-1) + ")"
	query := "INSERT INTO " + into + values //nolint:gosec // the names are ent's
	if b.dialect == dialect.Postgres {
		query = "COPY " + into + " FROM STDIN"
	}
	stmt, err := b.tx.PrepareContext(ctx, query)
	if err != nil {
		return fmt.Errorf("fill %s: %w", table, err)
	}
	defer func() { err = errors.Join(err, stmt.Close()) }()
	for row := range rows {
		if _, err := stmt.ExecContext(ctx, portable(row)...); err != nil {
			return fmt.Errorf("fill %s: %w", table, err)
		}
	}
	if b.dialect == dialect.Postgres {
		if _, err := stmt.ExecContext(ctx); err != nil { // the end of COPY
			return fmt.Errorf("fill %s: %w", table, err)
		}
	}
	return nil
}
