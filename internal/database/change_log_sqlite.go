package database

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/google/uuid"
)

// maxChangesRead bounds how many rows one read of the change log returns on SQLite. A read of more
// rows invalidates everything.
const maxChangesRead = 10_000

// sqliteChangeLog reads the table changes of SQLite, and the version of the file, which changes
// when another program commits.
type sqliteChangeLog struct {
	// writer has one connection, on which data_version changes only with the commits of other
	// connections.
	writer *sql.DB
	// conn is the connection of the last read, version the version that it saw, and last the
	// highest ID.
	conn          any
	version, last int64
}

// Close does nothing: the pool belongs to the database.
func (l *sqliteChangeLog) Close() error { return nil }

// read returns the keys of the rows beyond the last one. Transactions write one at a time, so IDs
// are in the order of the commits. After a commit of another program it returns everything: that
// program may have replaced the file, or written without triggers.
func (l *sqliteChangeLog) read(ctx context.Context) (keys []uuid.UUID, everything bool, err error) {
	conn, err := l.writer.Conn(ctx)
	if err != nil {
		return nil, false, fmt.Errorf("read the change log: %w", err)
	}
	defer conn.Close() //nolint:errcheck // it goes back to its pool
	var same any
	if err := conn.Raw(func(driver any) error { same = driver; return nil }); err != nil {
		return nil, false, fmt.Errorf("read the change log: %w", err)
	}
	var version int64
	if err := conn.QueryRowContext(ctx, "PRAGMA data_version").Scan(&version); err != nil {
		return nil, false, fmt.Errorf("read the version of the file: %w", err)
	}
	everything = same != l.conn || version != l.version
	last := l.last
	if everything {
		err = conn.QueryRowContext(ctx, `SELECT coalesce(max(id), 0) FROM changes`).Scan(&last)
	} else {
		keys, last, err = readKeys(ctx, conn, last)
	}
	if err != nil {
		return nil, false, fmt.Errorf("read the change log: %w", err)
	}
	l.conn, l.version, l.last = same, version, last
	return keys, everything || len(keys) > maxChangesRead, nil
}

// readKeys returns the keys of the rows beyond an ID, and the highest ID.
func readKeys(ctx context.Context, conn *sql.Conn, after int64) (keys []uuid.UUID, last int64, err error) {
	rows, err := conn.QueryContext(ctx, `SELECT id, "key" FROM changes WHERE id > ? ORDER BY id LIMIT ?`, after,
		maxChangesRead+1)
	if err != nil {
		return nil, after, err
	}
	defer rows.Close() //nolint:errcheck // rows.Err is checked
	last = after
	for rows.Next() {
		var key uuid.UUID
		if err := rows.Scan(&last, &key); err != nil {
			return nil, after, err
		}
		keys = append(keys, key)
	}
	return keys, last, rows.Err()
}
