package database

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/lib/pq"
)

// ChangeLogName is the application_name of the connection that reads the change log.
const ChangeLogName = "tenantry change log"

const (
	// maxGap is the longest time between two reads after which the second one continues the first.
	// It is half of keepChanges, so that no row has been deleted in between.
	maxGap = 30 * time.Second
	// readTimeout bounds the wait for an answer, and for a connection.
	readTimeout = 2 * time.Second
)

// readChanges returns the keys of the transactions that began since $1, and of those in $2, which
// were running then. It reads by the index only: with one old transaction and 500,000 dead tuples,
// a condition on visibility takes a thousand times as long. The upper bound of xid excludes no row:
// without statistics the planner estimates a third of the table for one bound, and few rows for
// two. The parameters are in subqueries, so that a custom plan is no better than the generic one:
// otherwise Postgres plans each execution, which takes longer than the execution.
const readChanges = `SELECT pg_current_snapshot(),
	pg_is_in_recovery() OR current_setting('transaction_read_only')::boolean,
	extract(epoch FROM pg_postmaster_start_time()), pg_relation_filenode('changes'), clock_timestamp(), ARRAY(
		SELECT "key" FROM changes WHERE xid >= (SELECT $1::bigint) AND xid < 9223372036854775807
		UNION ALL
		SELECT "key" FROM changes WHERE xid = ANY ((SELECT $2::bigint[])::bigint[])
	)`

// changeLog reads the table changes of Postgres on a separate connection, so that a full pool does
// not stop it. The connection may pass any pooler: each read is one statement, and changeLog keeps
// the position of the last read.
type changeLog struct {
	db *sql.DB
	// prepared says whether to prepare the statement, which then takes a third of the time.
	// statement is nil until the first read.
	prepared  bool
	statement *sql.Stmt
	// pool is the pool of the same database. Its connections are discarded when the server changes.
	pool *connector
	// last is the position of the last read, which began at readAt. It is nil before the first read
	// and after a failed one.
	last   *logPosition
	readAt time.Time
}

// logPosition is a position of the change log: the transactions that a read has seen.
type logPosition struct {
	// xmax is the first transaction ID that was not yet assigned. running are the lower ones whose
	// transactions had not ended.
	xmax    int64
	running []int64
	// server is when the server was started, and file the file of the table. If either differs, the
	// transaction IDs of two positions cannot be compared.
	server string
	file   int64
	// at is the time of the server. The monotonic clock of this process stops while its machine is
	// suspended.
	at time.Time
}

// continues reports whether no change can be missing between an earlier position and this one.
func (p *logPosition) continues(last *logPosition) bool {
	gap := p.at.Sub(last.at)
	return p.server == last.server && p.file == last.file && p.xmax >= last.xmax && gap >= 0 && gap <= maxGap
}

var errNotPrimary = errors.New("the server is in recovery or read-only, so it does not have every change")

// openChangeLog returns a reader of the change log of the database of a pool.
func openChangeLog(opts Options, pool *connector) (*changeLog, error) {
	dsn, err := url.Parse(opts.URL)
	if err != nil {
		return nil, errors.New("the database URL is not a valid URL") // the cause contains the password
	}
	own, err := newConnector(dsn, func(q url.Values) {
		setDefault(q, "application_name", ChangeLogName)
		setDefault(q, "connect_timeout", strconv.Itoa(int(readTimeout.Seconds())))
		if opts.Prepared {
			// Less than readTimeout, so that no backend still waits for a lock after it.
			setDefault(q, "statement_timeout", strconv.FormatInt((readTimeout*3/4).Milliseconds(), 10))
		}
		oneRoundTrip(q)
	}, readTimeout, opts.Prepared)
	if err != nil {
		return nil, err
	}
	db := sql.OpenDB(own)
	db.SetMaxOpenConns(1)
	return &changeLog{db: db, prepared: opts.Prepared, pool: pool}, nil
}

// Close closes the connection and its statement.
func (l *changeLog) Close() error { return l.db.Close() }

// read returns the keys of the transactions that the last read did not see: those that had not
// begun, and those that were running. A transaction stays in running until it ends, so one that
// commits late is not skipped. everything is true if changes may be missing from keys.
func (l *changeLog) read(ctx context.Context) (keys []uuid.UUID, everything bool, err error) {
	began := time.Now()
	now, keys, err := l.query(ctx)
	if err != nil {
		switch {
		case errors.Is(err, errNotPrimary):
			l.reconnect()
		case errors.Is(err, errMixed):
			err = l.pool.fail(err)
		}
		// A server may assign the last transaction IDs again after a crash, so the position is
		// invalid.
		l.last = nil
		return nil, false, fmt.Errorf("read the change log: %w", err)
	}
	last := l.last
	if last != nil && last.server != now.server {
		l.reconnect()
	}
	everything = last == nil || !now.continues(last) || time.Since(l.readAt) > maxGap || slices.Contains(keys, uuid.Nil)
	l.last, l.readAt = now, began
	return keys, everything, nil
}

// reconnect closes the connection of the reader and discards those of the pool, so that the next
// ones lead to the primary.
func (l *changeLog) reconnect() {
	l.pool.discard()
	l.db.SetMaxIdleConns(0) // closes the connection
	l.db.SetMaxIdleConns(1)
}

func (l *changeLog) query(ctx context.Context) (now *logPosition, keys []uuid.UUID, err error) {
	row, err := l.run(ctx)
	if err != nil {
		return nil, nil, err
	}
	now = &logPosition{}
	var snapshot string
	var standby bool
	if err := row.Scan(&snapshot, &standby, &now.server, &now.file, &now.at, pq.Array(&keys)); err != nil {
		return nil, nil, err
	}
	if standby {
		return nil, nil, errNotPrimary
	}
	if now.parse(snapshot) != nil {
		return nil, nil, fmt.Errorf("the snapshot %q is not of the form xmin:xmax:xip,…", snapshot)
	}
	return now, keys, nil
}

// run runs the statement. Cancelling ctx does not stop it, since lib/pq would open another
// connection for that; readTimeout bounds it.
func (l *changeLog) run(ctx context.Context) (row *sql.Row, err error) {
	ctx = context.WithoutCancel(ctx)
	args := []any{int64(math.MaxInt64), "{}"}
	if l.last != nil {
		args = []any{l.last.xmax, "{" + numbers(l.last.running) + "}"}
	}
	if !l.prepared {
		return l.db.QueryRowContext(ctx, readChanges, args...), nil
	}
	if l.statement == nil {
		if l.statement, err = l.db.PrepareContext(ctx, readChanges); err != nil {
			return nil, err
		}
	}
	return l.statement.QueryRowContext(ctx, args...), nil
}

// parse reads a pg_snapshot: xmin:xmax:xip,… (PostgreSQL, functions-info).
func (p *logPosition) parse(snapshot string) (err error) {
	parts := strings.Split(snapshot, ":")
	if len(parts) != 3 {
		return errors.New("not a snapshot")
	}
	if p.xmax, err = strconv.ParseInt(parts[1], 10, 64); err != nil || parts[2] == "" {
		return err
	}
	for text := range strings.SplitSeq(parts[2], ",") {
		xid, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return err
		}
		p.running = append(p.running, xid)
	}
	return nil
}

// numbers returns a comma-separated list for SQL.
func numbers(list []int64) string {
	text := make([]string, 0, len(list))
	for _, n := range list {
		text = append(text, strconv.FormatInt(n, 10))
	}
	return strings.Join(text, ",")
}
