package database

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"io"
	"net"
	"strings"

	"github.com/lib/pq"
	"github.com/lib/pq/pqerror"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// Unavailable reports whether err is an outage of the database: it is down, starting, stopping,
// full, locked, read-only or too slow, or it refuses credentials that it has accepted before. Such
// an error never means "not found" or "not allowed".
func Unavailable(err error) bool {
	if temporary(err) || errors.Is(err, errMixed) {
		return true
	}
	e, ok := errors.AsType[*pq.Error](err)
	// FATAL ends or refuses a session. The statement is not the cause.
	return ok && (e.Severity == pqerror.SeverityFatal || refusesSession(string(e.Code)))
}

// refusesSession reports whether a SQLSTATE refuses a connection until an operator changes
// something.
func refusesSession(code string) bool {
	return strings.HasPrefix(code, "28") || // invalid authorization
		code == "3D000" // the database does not exist
}

// temporary reports whether a retry may succeed without a change of the configuration.
func temporary(err error) bool {
	if err == nil || errors.Is(err, errMixed) || errors.Is(err, errParameter) {
		return false
	}
	for _, known := range []error{
		errFull, errNotWritable, driver.ErrBadConn, sql.ErrConnDone, context.DeadlineExceeded,
		io.EOF, io.ErrUnexpectedEOF, net.ErrClosed,
	} {
		if errors.Is(err, known) {
			return true
		}
	}
	if _, ok := errors.AsType[net.Error](err); ok {
		return true
	}
	if e, ok := errors.AsType[*pq.Error](err); ok {
		return temporaryPostgres(e)
	}
	if e, ok := errors.AsType[*sqlite.Error](err); ok {
		switch e.Code() & 0xff { // an extended code has the primary one in its low byte
		case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR,
			sqlite3.SQLITE_CANTOPEN,
			sqlite3.SQLITE_READONLY,  // the file system was remounted after a fault
			sqlite3.SQLITE_INTERRUPT: // the deadline of the context
			return true
		}
	}
	return false
}

// temporaryPostgres classifies an error by its SQLSTATE (PostgreSQL, appendix A).
func temporaryPostgres(e *pq.Error) bool {
	switch e.Code.Class() {
	case "08", // connection exception
		"53", // insufficient resources, too many connections
		"57", // operator intervention: statement_timeout, stopping, crashed, starting, dropped, idle for too long
		"58": // system error: the server cannot read or write its files
		return true
	}
	switch e.Code {
	case "40001", "40P01", // serialization failure or deadlock, also after the retries of WithTx
		"55P03",             // lock_timeout
		readOnlyTransaction: // a failover has made this server a replica
		return true
	case "55000":
		return e.Severity == pqerror.SeverityFatal // the database accepts no connections
	}
	return false
}

// rolledBack reports whether err is a deadlock or a serialization failure, after which the
// transaction may be repeated (PostgreSQL §13.5).
func rolledBack(err error) bool {
	e, ok := errors.AsType[*pq.Error](err)
	return ok && (e.Code == "40001" || e.Code == "40P01")
}
