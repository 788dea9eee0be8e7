package database

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"time"

	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"modernc.org/sqlite" // also the database/sql driver "sqlite", without cgo
	sqlite3 "modernc.org/sqlite/lib"
)

// SQLiteFile is the name of the database in the data folder.
const SQLiteFile = "tenantry.db"

// busyTimeout is how long a writer waits for another, in this process or outside it.
const busyTimeout = 5 * time.Second

// openSQLite opens two pools on one file: readers, and the one writer that SQLite allows. A second
// writer would wait in SQLite's busy handler, which is not fair; a pool serves requests in order.
func openSQLite(ctx context.Context, opts Options, log *slog.Logger) (*router, error) {
	if err := os.MkdirAll(opts.DataDir, 0o700); err != nil {
		return nil, fmt.Errorf("create data folder: %w", ExplainAccess(err, opts.DataDir))
	}
	file := filepath.Join(opts.DataDir, SQLiteFile)
	// Create the file first, so that only this user can read it. SQLite gives its other files the
	// same mode.
	own, err := os.OpenFile(file, os.O_CREATE|os.O_RDWR, 0o600) //nolint:gosec // the operator names the data folder
	if err != nil {
		return nil, fmt.Errorf("open SQLite: %w", ExplainAccess(err, opts.DataDir))
	}
	if err := own.Close(); err != nil {
		return nil, fmt.Errorf("open SQLite: %w", err)
	}
	readers, err := sql.Open("sqlite", sqliteDSN(file, "foreign_keys(1)", "query_only(1)"))
	if err != nil {
		return nil, fmt.Errorf("open SQLite: %w", err)
	}
	connections := max(4, runtime.GOMAXPROCS(0)) + 1 // one for health checks
	readers.SetMaxOpenConns(connections)
	readers.SetMaxIdleConns(connections)
	writer, err := sql.Open("sqlite", sqliteDSN(file, "foreign_keys(1)"))
	if err != nil {
		return nil, fmt.Errorf("open SQLite: %w", err)
	}
	writer.SetMaxOpenConns(1)
	// The first connection sets the journal mode to WAL. It must be the writer's, since readers
	// must not write.
	if err := checkWAL(ctx, writer, opts.DataDir); err != nil {
		return nil, errors.Join(err, readers.Close(), writer.Close())
	}
	if err := await(ctx, readers, opts.ConnectTimeout, log); err != nil {
		return nil, errors.Join(err, readers.Close(), writer.Close())
	}
	read, err := newPool(readers, semconv.DBSystemNameSQLite, true, busyTimeout)
	if err != nil {
		return nil, err
	}
	write, err := newPool(writer, semconv.DBSystemNameSQLite, true, busyTimeout)
	if err != nil {
		return nil, err
	}
	read.deadline, write.deadline = statementTimeout, statementTimeout
	return &router{read: read, write: write}, nil
}

// ExplainAccess adds to a permission error of the file system which user needs access to the data
// folder. It returns any other error as it is.
func ExplainAccess(err error, dir string) error {
	if !errors.Is(err, fs.ErrPermission) {
		return err
	}
	return fmt.Errorf("%w: user %d, which runs this program, needs read and write access to %s and its files", err,
		os.Getuid(), dir)
}

// checkWAL opens the first connection and reports why the database cannot be used with a
// write-ahead log. SQLite needs memory that processes share through a file beside the database, and
// locks on it, which some network shares and FUSE file systems do not have
// (https://sqlite.org/wal.html).
func checkWAL(ctx context.Context, writer *sql.DB, dir string) error {
	var mode string
	err := writer.QueryRowContext(ctx, "PRAGMA journal_mode").Scan(&mode)
	if err == nil && mode == "wal" {
		var tables int
		err = writer.QueryRowContext(ctx, "SELECT count(*) FROM sqlite_schema").Scan(&tables)
	}
	e, ok := errors.AsType[*sqlite.Error](err)
	if ok && e.Code()&0xff == sqlite3.SQLITE_IOERR || err == nil && mode != "wal" {
		return fmt.Errorf("open SQLite: the file system of %s does not support SQLite's write-ahead log%s", dir,
			dataFolderAdvice(err))
	}
	if err != nil {
		return fmt.Errorf("open SQLite: %w", err)
	}
	return nil
}

// dataFolderAdvice returns the end of the message about a file system that SQLite cannot use
// because of err.
func dataFolderAdvice(err error) string {
	cause := ""
	if err != nil {
		cause = " (" + err.Error() + ")"
	}
	return cause + ": set TENANTRY_DATA_DIR to a folder on a local disk or block volume, or TENANTRY_DATABASE_URL to " +
		"a PostgreSQL database"
}

// sqliteDSN returns the DSN of a file: WAL, commits that survive a power cut, a busy timeout,
// transactions that take the write lock when they begin, and times in one text format, so that
// their texts sort by time.
func sqliteDSN(file string, pragmas ...string) string {
	q := url.Values{
		"_txlock":      {"immediate"},
		"_time_format": {"sqlite"},
		"_pragma": append([]string{fmt.Sprintf("busy_timeout(%d)", busyTimeout.Milliseconds()),
			"journal_mode(WAL)", "synchronous(FULL)"}, pragmas...),
	}
	return (&url.URL{Scheme: "file", Opaque: (&url.URL{Path: file}).EscapedPath(), RawQuery: q.Encode()}).String()
}
