package database

import (
	"context"
	"database/sql"
	"log/slog"
)

const (
	// minPool is the least that a pool is lowered to: with fewer connections, requests that need
	// several statements would wait for one another.
	minPool = 4
	// sharers is among how many instances the free connections of a server are divided.
	sharers = 3
	// readerConnections are used beside the pool: the reader of changes has a connection of its
	// own.
	readerConnections = 1
)

// freeConnections returns max_connections of the server, and how many connections this instance may
// open, including the one that asks. Connections that are in use or reserved are not free:
// reserved_connections exists since PostgreSQL 16. The connection limits of the role and of the
// database may be lower, except for superusers. Every role may read these values; of other roles'
// rows in pg_stat_activity it may read few columns, of which usesysid is one.
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
