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
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// Unavailable reports whether err says that the database cannot serve now, though it may soon: it is down, starting,
// stopping, full, locked or too slow. Such an error is an outage and never means "not found" or "not allowed".
func Unavailable(err error) bool {
	if err == nil {
		return false
	}
	if errors.Is(err, errFull) || errors.Is(err, driver.ErrBadConn) || errors.Is(err, sql.ErrConnDone) || errors.Is(err, context.DeadlineExceeded) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) {
		return true
	}
	if _, ok := errors.AsType[net.Error](err); ok {
		return true
	}
	if e, ok := errors.AsType[*pq.Error](err); ok {
		return unavailablePostgres(string(e.Code))
	}
	if e, ok := errors.AsType[*sqlite.Error](err); ok {
		switch e.Code() & 0xff { // the primary code of an extended one
		case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN,
			sqlite3.SQLITE_INTERRUPT: // its deadline
			return true
		}
	}
	return false
}

// unavailablePostgres goes by the error codes of PostgreSQL, appendix A.
func unavailablePostgres(code string) bool {
	if strings.HasPrefix(code, "08") || // connection exception
		strings.HasPrefix(code, "53") { // insufficient resources, too many connections
		return true
	}
	switch code {
	case "40001", "40P01", // still so when it was tried again
		"57014",                   // statement_timeout
		"57P01", "57P02", "57P03", // stopping, crashed, starting
		"25006": // read-only: the primary has moved
		return true
	}
	return false
}

// undone reports whether err says that Postgres has rolled the transaction back for another one's sake, so that it may be
// run again (PostgreSQL §13.5).
func undone(err error) bool {
	e, ok := errors.AsType[*pq.Error](err)
	return ok && (e.Code == "40001" || e.Code == "40P01")
}
