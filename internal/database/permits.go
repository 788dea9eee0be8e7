package database

import (
	"context"
	"database/sql"
	"errors"
	"sync"
	"time"

	entsql "entgo.io/ent/dialect/sql"
)

// errFull refuses a request that would wait too long for a connection (ASVS 13.2.6).
var errFull = errors.New("every connection to the database is in use")

// permits is a semaphore over the connections of a pool. The client's context ends the wait for a
// permit, and does not interrupt a statement. database/sql has one context for both.
type permits struct {
	held chan struct{}
	// timeout bounds the wait for a connection.
	timeout time.Duration
}

// acquire waits for a permit and returns the function that releases it. It fails with errFull after
// timeout, or when ctx is done.
func (s permits) acquire(ctx context.Context) (release func(), err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	release = sync.OnceFunc(func() { <-s.held })
	select {
	case s.held <- struct{}{}:
		return release, nil
	default: // most calls need no timer
	}
	full := time.NewTimer(s.timeout)
	defer full.Stop()
	select {
	case s.held <- struct{}{}:
		return release, nil
	case <-full.C:
		return nil, errFull
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// ExecContext waits for a connection and runs a hand-written statement. It repeats the statement
// after a deadlock, since it may lock several rows.
func (d *entDriver) ExecContext(ctx context.Context, query string, args ...any) (result sql.Result, err error) {
	release, err := d.pools.write.permits.acquire(ctx)
	if err != nil {
		return nil, err
	}
	defer release()
	err = retry(ctx, func() error {
		result, err = d.Driver.ExecContext(ctx, query, args...)
		return err
	})
	return result, err
}

// Exec waits for a connection and runs a statement that returns no rows.
func (d *entDriver) Exec(ctx context.Context, query string, args, v any) error {
	release, err := d.pools.write.permits.acquire(ctx)
	if err != nil {
		return err
	}
	defer release()
	return d.Driver.Exec(ctx, query, args, v)
}

// Query waits for a connection and runs a statement. Its rows hold the connection until they are
// closed.
func (d *entDriver) Query(ctx context.Context, query string, args, v any) error {
	release, err := d.pools.of(query).permits.acquire(ctx)
	if err != nil {
		return err
	}
	if err := d.Driver.Query(ctx, query, args, v); err != nil {
		release()
		return err
	}
	if rows, ok := v.(*entsql.Rows); ok {
		rows.ColumnScanner = permitRows{rows.ColumnScanner, release}
		return nil
	}
	release()
	return nil
}

type permitRows struct {
	entsql.ColumnScanner
	release func()
}

func (r permitRows) Close() error {
	defer r.release()
	return r.ColumnScanner.Close()
}

// permitTx is a transaction that releases its permit when it ends.
type permitTx struct {
	*entsql.Tx
	statements *transaction
	release    func()
}

func (t permitTx) Commit() error {
	defer t.release()
	if t.statements.changed {
		defer t.statements.written() // also if the commit fails: it may have been applied
	}
	return t.Tx.Commit()
}

func (t permitTx) Rollback() error {
	defer t.release()
	return t.Tx.Rollback()
}
