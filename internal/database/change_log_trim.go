package database

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"entgo.io/ent/dialect"
)

const (
	// keepChanges is how long a row of the change log is kept after an instance has seen it: twice
	// maxGap.
	keepChanges = 60 * time.Second
	// trimBatch is how many rows one statement deletes.
	trimBatch = 1000
)

// ChangeTrimmer deletes the rows of the change log that every reader has read.
type ChangeTrimmer struct {
	db *DB
	// seen are positions of the log, oldest first.
	seen []seenChanges
}

// seenChanges is a position of the log, and the time at which it was read.
type seenChanges struct {
	at time.Time
	logPosition
	// last is the highest ID, on SQLite.
	last int64
}

// NewChangeTrimmer returns a trimmer. Every instance may run one.
func (db *DB) NewChangeTrimmer() *ChangeTrimmer { return &ChangeTrimmer{db: db} }

// Trim deletes rows that were visible in a snapshot at least keepChanges old, in batches with
// pauses, and keeps the current snapshot for later calls. It keeps rows of transactions that were
// running then. It does not truncate the table: that changes its file, and readers would invalidate
// everything.
func (t *ChangeTrimmer) Trim(ctx context.Context) error {
	now := seenChanges{at: time.Now()}
	var err error
	if t.db.Dialect() == dialect.SQLite {
		err = t.db.SQL.QueryRowContext(ctx, `SELECT coalesce(max(id), 0) FROM changes`).Scan(&now.last)
	} else {
		var snapshot string
		err = t.db.SQL.QueryRowContext(ctx, `SELECT pg_current_snapshot(),
	extract(epoch FROM pg_postmaster_start_time()), pg_relation_filenode('changes')`).
			Scan(&snapshot, &now.server, &now.file)
		if err == nil {
			err = now.parse(snapshot)
		}
	}
	if err != nil {
		return fmt.Errorf("read the position of the change log: %w", err)
	}
	if n := len(t.seen); n > 0 && (t.seen[n-1].server != now.server || t.seen[n-1].file != now.file ||
		t.seen[n-1].xmax > now.xmax) {
		t.seen = nil // transaction IDs may have been assigned again
	}
	t.seen = append(t.seen, now)
	var old *seenChanges
	for len(t.seen) > 0 && time.Since(t.seen[0].at) >= keepChanges {
		old, t.seen = &t.seen[0], t.seen[1:]
	}
	if old == nil {
		return nil
	}
	return t.delete(ctx, *old)
}

func (t *ChangeTrimmer) delete(ctx context.Context, old seenChanges) error {
	if t.db.Dialect() == dialect.Postgres {
		// Rows restored from a dump of another server may have transaction IDs that this server has
		// not yet assigned. Readers would read them every time.
		if _, err := t.db.driver.ExecContext(ctx,
			`DELETE FROM changes WHERE xid >= pg_snapshot_xmax(pg_current_snapshot())::text::bigint`); err != nil {
			return fmt.Errorf("delete changes of another server: %w", err)
		}
	}
	for from := int64(0); ; {
		began := time.Now()
		n, last, err := t.deleteBatch(ctx, old, from)
		if err != nil {
			return fmt.Errorf("trim the change log: %w", err)
		}
		if n < trimBatch {
			return nil
		}
		from = last
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(restFactor * time.Since(began)):
		}
	}
}

// deleteBatch deletes the oldest rows whose transaction ID is at least from, so that it does not
// scan the dead tuples of earlier batches. It returns their number and the last transaction ID.
func (t *ChangeTrimmer) deleteBatch(ctx context.Context, old seenChanges, from int64) (n int, last int64, err error) {
	statement := fmt.Sprintf(`DELETE FROM changes
	WHERE id IN (SELECT id FROM changes WHERE id <= %d ORDER BY id LIMIT %d) RETURNING xid`, old.last, trimBatch)
	if t.db.Dialect() == dialect.Postgres {
		running := ""
		if len(old.running) > 0 {
			running = " AND xid NOT IN (" + numbers(old.running) + ")"
		}
		statement = fmt.Sprintf(`DELETE FROM changes WHERE id = ANY (ARRAY(
	SELECT id FROM changes WHERE xid >= %d AND xid < %d%s ORDER BY xid LIMIT %d FOR UPDATE SKIP LOCKED
)) RETURNING xid`, from, old.xmax, running, trimBatch)
	}
	last = from
	err = Rows(WithoutInvalidation(ReplanEachTime(ctx)), t.db.Client, statement, nil, func(rows *sql.Rows) error {
		var xid int64
		if err := rows.Scan(&xid); err != nil {
			return err
		}
		n, last = n+1, max(last, xid)
		return nil
	})
	return n, last, err
}

// FinishChangeLog turns off the notifications of the change log, which instances of the previous
// version need. It fails while such an instance is connected, unless force is set. ended reports
// whether the notifications were on.
func (db *DB) FinishChangeLog(ctx context.Context, force bool) (ended bool, err error) {
	if db.Dialect() == dialect.SQLite {
		return false, nil
	}
	// The previous version sends an empty statement on its listening connection several times a
	// second. The state of other roles' connections is NULL for a role without pg_read_all_stats.
	var listeners, hidden int
	err = db.SQL.QueryRowContext(ctx, `SELECT count(*) FILTER (
		WHERE query = '' AND backend_start < now() - interval '2 seconds'
		AND state_change > now() - interval '2 seconds'),
	count(*) FILTER (WHERE state IS NULL)
	FROM pg_stat_activity WHERE datname = current_database()`).Scan(&listeners, &hidden)
	switch {
	case err != nil:
		return false, fmt.Errorf("look for instances of the previous version: %w", err)
	case force:
	case listeners > 0:
		return false, errors.New("an instance of the previous version is still running: stop it first, or add " +
			"--force if you are sure that none runs")
	case hidden > 0:
		return false, errors.New("other roles are connected, and this role may not see whether they are instances " +
			"of the previous version: run this as the role of the server, or make sure that none runs and add --force")
	}
	result, err := db.driver.ExecContext(ctx, `DELETE FROM settings WHERE name = 'change_log.notify'`)
	if err != nil {
		return false, fmt.Errorf("turn off the notifications: %w", err)
	}
	n, err := result.RowsAffected()
	return n > 0, err
}
