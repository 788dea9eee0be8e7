package database

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
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
	// DataDir is the folder of the SQLite file. It is made if it is missing.
	DataDir string
	// PoolSize and MaxOverflow add up to the number of Postgres connections.
	PoolSize, MaxOverflow int
	// Prepared turns prepared statements on. PgBouncer in transaction mode needs it off.
	Prepared bool
	// ConnectTimeout bounds how long a database that cannot be reached is waited for. Zero means 30 seconds.
	ConnectTimeout time.Duration
}

// DB is an open database.
type DB struct {
	// Client is the repository: every read and write of the application.
	Client *ent.Client
	// SQL is the pool below it, for health checks and figures.
	SQL *sql.DB

	driver *entDriver
	opts   Options
}

// Dialect returns dialect.SQLite or dialect.Postgres.
func (db *DB) Dialect() string { return db.driver.Dialect() }

// Close closes every connection.
func (db *DB) Close() error { return db.driver.Close() }

// Ping asks the database for an answer, and waits for it no longer than ctx lasts. lib/pq would: it asks the server to
// cancel, and one that hangs does not.
func (db *DB) Ping(ctx context.Context) error {
	answered := make(chan error, 1)
	go func() {
		var one int
		answered <- db.SQL.QueryRowContext(ctx, "SELECT 1").Scan(&one)
	}()
	select {
	case err := <-answered:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Open opens the database and waits, for a bounded time and with growing pauses, until it answers.
func Open(ctx context.Context, opts Options, log *slog.Logger) (*DB, error) {
	if opts.ConnectTimeout == 0 {
		opts.ConnectTimeout = 30 * time.Second
	}
	name, open := dialect.SQLite, openSQLite
	if opts.URL != "" {
		name, open = dialect.Postgres, openPostgres
	}
	pools, err := open(ctx, opts)
	if err != nil {
		return nil, err
	}
	driver := newDriver(name, pools)
	db := &DB{Client: ent.NewClient(ent.Driver(driver)), SQL: pools.read.db, driver: driver, opts: opts}
	if err := db.await(ctx, log); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

func (db *DB) await(ctx context.Context, log *slog.Logger) error {
	ping := func() (struct{}, error) {
		attempt, cancel := context.WithTimeout(ctx, 5*time.Second)
		defer cancel()
		err := db.Ping(attempt)
		if err != nil && !Unavailable(err) {
			return struct{}{}, backoff.Permanent(err)
		}
		return struct{}{}, err
	}
	_, err := backoff.Retry(ctx, ping,
		backoff.WithBackOff(&backoff.ExponentialBackOff{
			InitialInterval: 100 * time.Millisecond, RandomizationFactor: 0.5, Multiplier: 2, MaxInterval: 3 * time.Second,
		}),
		backoff.WithMaxElapsedTime(db.opts.ConnectTimeout),
		backoff.WithNotify(func(err error, wait time.Duration) {
			log.WarnContext(ctx, "database cannot be reached, trying again", "error", err, "wait", wait.Round(time.Millisecond).String())
		}))
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return fmt.Errorf("stopped while waiting for the database: %w", context.Cause(ctx))
	case Unavailable(err):
		return fmt.Errorf("the database did not answer within %s: %w", db.opts.ConnectTimeout, err)
	default:
		return fmt.Errorf("the database refused the connection: %w", err)
	}
}
