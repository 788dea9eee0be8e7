package database

import (
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	"net/url"
	"path/filepath"
	"time"

	"entgo.io/ent/dialect"
	"github.com/cenkalti/backoff/v5"

	"tenantry/ent"
	_ "tenantry/ent/runtime" // policies, hooks and defaults of the schemas
)

// Options say which database to open and how.
type Options struct {
	// URL is a Postgres DSN (postgres://…). Empty means SQLite in DataDir.
	URL string
	// DataDir is the folder of the SQLite file. Open creates it if it does not exist.
	DataDir string
	// PoolSize and MaxOverflow add up to the number of Postgres connections.
	PoolSize, MaxOverflow int
	// PoolDefault says that the operator has set neither, so that Open may lower their sum to a
	// share of the server's free connections.
	PoolDefault bool
	// Prepared turns prepared statements on. PgBouncer in transaction mode needs it off.
	Prepared bool
	// ConnectTimeout bounds how long Open waits for a database that cannot be reached. Zero means
	// 30 seconds.
	ConnectTimeout time.Duration
}

// Name returns the URL of the database without user, password and parameters, or the path of the
// SQLite file.
func (o Options) Name() string {
	if o.URL == "" {
		return filepath.Join(o.DataDir, SQLiteFile)
	}
	dsn, err := url.Parse(o.URL)
	if err != nil {
		return "postgres"
	}
	return (&url.URL{Scheme: dsn.Scheme, Host: dsn.Host, Path: dsn.Path}).String()
}

// DB is an open database.
type DB struct {
	// Client runs every read and write of the application.
	Client *ent.Client
	// SQL is the pool below it, for health checks and metrics.
	SQL *sql.DB

	driver    *entDriver
	connector *connector // nil on SQLite
	opts      Options
}

// Dialect returns dialect.SQLite or dialect.Postgres.
func (db *DB) Dialect() string { return db.driver.Dialect() }

// Close closes every connection.
func (db *DB) Close() error { return db.driver.Close() }

// Ping runs a query. It returns when the database replies or when ctx is done.
func (db *DB) Ping(ctx context.Context) error { return ping(ctx, db.SQL) }

// Ready is Ping for a writable database. It fails if Postgres accepts no writes: in recovery, or
// while default_transaction_read_only is on. For SQLite it is Ping: a test of the write lock would
// queue behind the one writer.
func (db *DB) Ready(ctx context.Context) error {
	if db.Dialect() != dialect.Postgres {
		return db.Ping(ctx)
	}
	readOnly, err := answer[string](ctx, db.SQL, "SHOW transaction_read_only")
	if err == nil && readOnly == "on" {
		db.discardConnections()
		return errNotWritable
	}
	return err
}

// Failed returns a channel that receives one error if a pooler mixes statements. No statement is
// safe then, and the process must end.
func (db *DB) Failed() <-chan error {
	if db.connector == nil {
		return nil
	}
	return db.connector.failed
}

// discardConnections replaces each connection when it is next checked out or returned, since its
// server may no longer be the primary. It does so at most once in discardInterval.
func (db *DB) discardConnections() {
	if db.connector != nil {
		db.connector.discard()
	}
}

func ping(ctx context.Context, db *sql.DB) error {
	_, err := answer[int](ctx, db, "SELECT 1")
	return err
}

// answer returns the one value of a query. It returns an error as soon as ctx is done. lib/pq does
// not: it requests a cancellation and waits for the reply of the server, which may hang.
func answer[T any](ctx context.Context, db *sql.DB, query string) (T, error) {
	type result struct {
		value T
		err   error
	}
	answered := make(chan result, 1)
	go func() {
		var r result
		r.err = db.QueryRowContext(ctx, query).Scan(&r.value)
		answered <- r
	}()
	select {
	case r := <-answered:
		return r.value, r.err
	case <-ctx.Done():
		return *new(T), ctx.Err()
	}
}

// Open opens the database. It tries to connect, with growing pauses, until the database replies or
// ConnectTimeout has passed.
func Open(ctx context.Context, opts Options, log *slog.Logger) (*DB, error) {
	if opts.ConnectTimeout == 0 {
		opts.ConnectTimeout = 30 * time.Second
	}
	name, open := dialect.SQLite, openSQLite
	if opts.URL != "" {
		name, open = dialect.Postgres, openPostgres
	}
	pools, err := open(ctx, opts, log)
	if err != nil {
		return nil, err
	}
	driver := newDriver(name, pools)
	client := ent.NewClient(ent.Driver(driver))
	return &DB{Client: client, SQL: pools.read.db, driver: driver, connector: pools.connector, opts: opts}, nil
}

// await waits until the database replies. It fails after timeout, and at once for an error that is
// not temporary.
func await(ctx context.Context, db *sql.DB, timeout time.Duration, log *slog.Logger) error {
	attempt := func() (struct{}, error) {
		ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
		defer cancel()
		err := ping(ctx, db)
		if err != nil && !temporary(err) {
			return struct{}{}, backoff.Permanent(err)
		}
		return struct{}{}, err
	}
	_, err := backoff.Retry(ctx, attempt,
		backoff.WithBackOff(&backoff.ExponentialBackOff{
			InitialInterval: 100 * time.Millisecond, RandomizationFactor: 0.5, Multiplier: 2,
			MaxInterval: 3 * time.Second,
		}),
		backoff.WithMaxElapsedTime(timeout),
		backoff.WithNotify(func(err error, wait time.Duration) {
			log.WarnContext(ctx, "database cannot be reached, trying again",
				"error", err, "wait", wait.Round(time.Millisecond).String())
		}))
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return fmt.Errorf("stopped while waiting for the database: %w", context.Cause(ctx))
	case temporary(err):
		return fmt.Errorf("the database did not answer within %s: %w", timeout, err)
	default:
		return fmt.Errorf("the database refused the connection: %w", err)
	}
}
