package database

import (
	"context"
	"database/sql"
	"log/slog"
)

const (
	// minPool is the smallest size that a pool is lowered to. With fewer connections, requests that
	// need several statements would wait for each other.
	minPool = 4
	// sharers is the number of instances that the free connections of a server are divided by.
	sharers = 3
	// readerConnections is the number of connections outside the pool: the reader of the change log
	// has one.
	readerConnections = 1
)

// freeConnections returns max_connections of the server, and how many connections this instance may
// open, including the one that runs the query. Connections that are in use or reserved are not free
// (reserved_connections exists since PostgreSQL 16). The connection limits of the role and of the
// database may be lower, except for superusers. Every role may read these values: usesysid is one
// of the few columns of pg_stat_activity that are visible for other roles.
const freeConnections = `SELECT current_setting('max_connections')::int, 1 + least(
	current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
		- coalesce(current_setting('reserved_connections', true)::int, 0)
		- (SELECT sum(numbackends) FROM pg_stat_database),
	(SELECT rolconnlimit - (SELECT count(*) FROM pg_stat_activity WHERE usesysid = r.oid)
		FROM pg_roles r WHERE rolname = session_user AND rolconnlimit >= 0 AND NOT rolsuper),
	(SELECT datconnlimit - pg_stat_get_db_numbackends(d.oid)
		FROM pg_database d, pg_roles r WHERE datname = current_database() AND datconnlimit >= 0
		AND rolname = session_user AND NOT rolsuper)
)::int`

// poolSize returns how many connections the pool may open. Default sizes are lowered to a third of
// the free connections of the server, so that three instances fit in; sizes that are set are kept.
func poolSize(ctx context.Context, db *sql.DB, opts Options, log *slog.Logger) int {
	size := opts.PoolSize + opts.MaxOverflow
	var limit, free int
	if err := db.QueryRowContext(ctx, freeConnections).Scan(&limit, &free); err != nil {
		log.WarnContext(ctx, "connection limit of the database unreadable, the pool keeps its size",
			"connections", size, "error", err)
		return size
	}
	fitting := max(minPool, free/sharers-readerConnections)
	switch {
	case opts.PoolDefault && size > fitting:
		log.InfoContext(ctx, "connection pool lowered to a third of the database's free connections",
			"connections", fitting, "default", size, "free", free, "max_connections", limit)
		return fitting
	case size+readerConnections > free:
		log.WarnContext(ctx, "connection pool exceeds the database's free connections: lower "+
			"TENANTRY_DB_POOL_SIZE and TENANTRY_DB_MAX_OVERFLOW, or raise max_connections",
			"connections", size, "free", free, "max_connections", limit)
	}
	return size
}
