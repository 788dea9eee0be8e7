package database

import (
	"context"
	stdsql "database/sql"
	"fmt"
	"iter"
	"slices"
	"time"

	"entgo.io/ent/dialect"
	"entgo.io/ent/dialect/sql"

	"tenantry/internal/principal"
)

const (
	// expiredBatch is how many rows one statement deletes. It holds its locks and one core for two
	// or three milliseconds where commits reach the disk.
	expiredBatch = 50
	// restFactor is the pause after a batch, as a multiple of the batch's duration: an instance
	// spends a twentieth of the time on deletion. A limit in rows a second would not fit both fast
	// and slow machines; a share of the time does, and slows down with the database.
	restFactor = 19
)

// deleteExpired deletes a batch of rows that expired between $1 and $2, oldest first. It starts at
// $1 in the index: from its beginning, each batch would scan the index entries that earlier batches
// deleted and that are not vacuumed yet. The IDs are an array, which is computed once; Postgres may
// run a subquery again for each row, and lock other rows each time.
const (
	deleteExpired = `DELETE FROM %[1]s WHERE id = ANY (ARRAY(
	SELECT id FROM %[1]s WHERE expires_at >= $1 AND expires_at < $2
	ORDER BY expires_at LIMIT %[2]d FOR UPDATE SKIP LOCKED
)) RETURNING expires_at`
	deleteExpiredSQLite = `DELETE FROM %[1]s WHERE id IN (
	SELECT id FROM %[1]s WHERE expires_at >= $1 AND expires_at < $2 ORDER BY expires_at LIMIT %[2]d
) RETURNING expires_at`
)

// DeleteExpired deletes the expired rows of a table with the column expires_at, of every tenant, in
// batches, and yields the number of rows of each batch. It pauses after each batch. It ends when no
// expired row is left, after an error, or soon after ctx is done. Several instances may run it at
// the same time: each skips the rows that another one has locked.
func (db *DB) DeleteExpired(ctx context.Context, table string, now time.Time) iter.Seq2[int64, error] {
	// Each use of a cached session checks its expiry.
	ctx = WithoutInvalidation(principal.System(ctx, "housekeeping: expired rows of every tenant"))
	return func(yield func(int64, error) bool) {
		for from := (time.Time{}); ; {
			begun := time.Now()
			deleted, err := db.deleteExpired(ctx, table, from, now)
			if len(deleted) > 0 || err != nil {
				if !yield(int64(len(deleted)), err) || err != nil {
					return
				}
			}
			if len(deleted) < expiredBatch {
				return
			}
			from = slices.MaxFunc(deleted, time.Time.Compare)
			select {
			case <-ctx.Done():
				yield(0, ctx.Err())
				return
			case <-time.After(restFactor * time.Since(begun)):
			}
		}
	}
}

// deleteExpired deletes one batch, and returns when each row expired.
func (db *DB) deleteExpired(ctx context.Context, table string, from, now time.Time) (deleted []time.Time, err error) {
	err = Rows(ctx, db.Client, db.expiredStatement(table), []any{from, now}, func(rows *stdsql.Rows) error {
		var at time.Time
		if err := rows.Scan(&at); err != nil {
			return err
		}
		deleted = append(deleted, at)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("delete expired rows of %s: %w", table, err)
	}
	return deleted, nil
}

func (db *DB) expiredStatement(table string) string {
	if db.Dialect() == dialect.SQLite {
		return fmt.Sprintf(deleteExpiredSQLite, table, expiredBatch)
	}
	return fmt.Sprintf(deleteExpired, table, expiredBatch)
}

// CountExpired returns how many rows of a table had expired at now, of every tenant. It counts up
// to limit.
func (db *DB) CountExpired(ctx context.Context, table string, now time.Time, limit int) (int64, error) {
	expired := sql.Dialect(db.Dialect()).Select("id").From(sql.Table(table)).Where(sql.LT("expires_at",
		now)).Limit(limit).As("expired")
	return db.count(ctx, table, sql.Dialect(db.Dialect()).Select(sql.Count("*")).From(expired))
}

// CountRows returns how many rows a table has, of every tenant.
func (db *DB) CountRows(ctx context.Context, table string) (int64, error) {
	return db.count(ctx, table, sql.Dialect(db.Dialect()).Select(sql.Count("*")).From(sql.Table(table)))
}

func (db *DB) count(ctx context.Context, table string, counting *sql.Selector) (n int64, err error) {
	query, args := counting.Query()
	if err := db.SQL.QueryRowContext(ctx, query, portable(args)...).Scan(&n); err != nil {
		return 0, fmt.Errorf("count rows of %s: %w", table, err)
	}
	return n, nil
}
