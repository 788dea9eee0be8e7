package database

import (
	"context"
	"fmt"
	"time"

	"entgo.io/ent/dialect"
	"entgo.io/ent/dialect/sql"

	"tenantry/internal/principal"
)

// expiredAtOnce is how many rows one statement deletes, so that none holds its locks for long.
const expiredAtOnce = 500

// DeleteExpired deletes what has expired of a table that says when its rows do, of every tenant, and returns how many rows that
// were. Any number of instances may do it at once: each takes what no other has taken.
func (db *DB) DeleteExpired(ctx context.Context, table string, now time.Time) (deleted int64, err error) {
	ctx = principal.System(ctx, "housekeeping: expired rows of every tenant")
	builder := sql.Dialect(db.Dialect())
	expired := builder.Select("id").From(sql.Table(table)).Where(sql.LT("expires_at", now)).Limit(expiredAtOnce)
	if db.Dialect() == dialect.Postgres {
		expired.ForUpdate(sql.WithLockAction(sql.SkipLocked))
	}
	query, args := builder.Delete(table).Where(sql.In("id", expired)).Query()
	for {
		result, err := db.Client.ExecContext(ctx, query, args...)
		if err != nil {
			return deleted, fmt.Errorf("delete expired rows of %s: %w", table, err)
		}
		n, err := result.RowsAffected()
		if err != nil {
			return deleted, fmt.Errorf("delete expired rows of %s: %w", table, err)
		}
		if deleted += n; n < expiredAtOnce {
			return deleted, nil
		}
	}
}

// CountRows returns how many rows a table has, of every tenant.
func (db *DB) CountRows(ctx context.Context, table string) (n int64, err error) {
	query, args := sql.Dialect(db.Dialect()).Select(sql.Count("*")).From(sql.Table(table)).Query()
	if err := db.SQL.QueryRowContext(ctx, query, args...).Scan(&n); err != nil {
		return 0, fmt.Errorf("count rows of %s: %w", table, err)
	}
	return n, nil
}
