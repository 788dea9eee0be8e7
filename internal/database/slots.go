package database

import (
	"context"
	"database/sql"
	"errors"
	"sync"
	"time"

	entsql "entgo.io/ent/dialect/sql"
)

// errFull is why a request is refused rather than kept waiting for a connection (ASVS 13.2.6).
var errFull = errors.New("every connection to the database is in use")

// slots are the connections of a pool. Who waits for one may hang up; once a statement has its connection, nothing but
// the database interrupts it. database/sql knows one context for both.
type slots struct {
	taken chan struct{}
	// patience is how long a connection is waited for.
	patience time.Duration
}

// take waits for a connection as long as ctx and its patience last, and returns what gives it back.
func (s slots) take(ctx context.Context) (release func(), err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	release = sync.OnceFunc(func() { <-s.taken })
	select {
	case s.taken <- struct{}{}:
		return release, nil
	default: // a timer is only for who has to wait
	}
	full := time.NewTimer(s.patience)
	defer full.Stop()
	select {
	case s.taken <- struct{}{}:
		return release, nil
	case <-full.C:
		return nil, errFull
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// ExecContext waits for a connection and runs a statement that was written by hand, again if it met a deadlock: such a
// statement may lock several rows.
func (d *entDriver) ExecContext(ctx context.Context, query string, args ...any) (result sql.Result, err error) {
	release, err := d.pools.write.slots.take(ctx)
	if err != nil {
		return nil, err
	}
	defer release()
	err = again(ctx, func() error {
		result, err = d.Driver.ExecContext(ctx, query, args...)
		return err
	})
	return result, err
}

// Exec waits for a connection and runs a statement that answers no rows.
func (d *entDriver) Exec(ctx context.Context, query string, args, v any) error {
	release, err := d.pools.write.slots.take(ctx)
	if err != nil {
		return err
	}
	defer release()
	return d.Driver.Exec(ctx, query, args, v)
}

// Query waits for a connection and runs a statement, whose rows keep the connection until they are closed.
func (d *entDriver) Query(ctx context.Context, query string, args, v any) error {
	release, err := d.pools.of(query).slots.take(ctx)
	if err != nil {
		return err
	}
	if err := d.Driver.Query(ctx, query, args, v); err != nil {
		release()
		return err
	}
	if rows, ok := v.(*entsql.Rows); ok {
		rows.ColumnScanner = slotRows{rows.ColumnScanner, release}
		return nil
	}
	release()
	return nil
}

type slotRows struct {
	entsql.ColumnScanner
	release func()
}

func (r slotRows) Close() error {
	defer r.release()
	return r.ColumnScanner.Close()
}

// slotTx gives the connection of a transaction back when it ends.
type slotTx struct {
	*entsql.Tx
	statements *transaction
	release    func()
}

func (t slotTx) Commit() error {
	defer t.release()
	if t.statements.changed {
		defer t.statements.written() // whatever becomes of it
	}
	return t.Tx.Commit()
}

func (t slotTx) Rollback() error {
	defer t.release()
	return t.Tx.Rollback()
}
