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
	// expiredBatch is how many rows one statement deletes, so that it holds its locks, and a core
	// that a request may wait for, for two or three milliseconds where commits reach the disk.
	expiredBatch = 50
	// restFactor is for how many times its own time a batch is rested after, so that an instance
	// deletes for a twentieth of the time. A number of rows a second would be too many for one
	// machine and too few for another; a share of the time is the same for all, and gives way by
	// itself when the database is slow.
	restFactor = 19
)

// deleteExpired deletes a batch of what expired from $1 on and before $2, the oldest first. It goes
// by the index, and not from its beginning: until Postgres has vacuumed, each batch would walk once
// more over all that those before it have deleted. The ids are an array because it is computed
// once; a subquery may be run anew for each row, and take other rows each time.
const (
	deleteExpired = `DELETE FROM %[1]s WHERE id = ANY (ARRAY(
	SELECT id FROM %[1]s WHERE expires_at >= $1 AND expires_at < $2
	ORDER BY expires_at LIMIT %[2]d FOR UPDATE SKIP LOCKED
)) RETURNING expires_at`
	deleteExpiredSQLite = `DELETE FROM %[1]s WHERE id IN (
	SELECT id FROM %[1]s WHERE expires_at >= $1 AND expires_at < $2 ORDER BY expires_at LIMIT %[2]d
) RETURNING expires_at`
)

// DeleteExpired deletes what has expired of a table that says when its rows do, of every tenant, in
// batches, and yields how many rows each had. It rests after each, and ends when there is nothing
// left, with an error, or soon after ctx is done. Any number of instances may do it at once: each
// takes what no other has taken.
func (db *DB) DeleteExpired(ctx context.Context, table string, now time.Time) iter.Seq2[int64, error] {
	// A cached session is checked against its end at each use.
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

// deleteExpired deletes one batch, and returns when each row had expired.
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

// CountExpired returns how many rows of a table had expired at a time, of every tenant, and no more
// than limit.
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
