package database

import (
	"context"
	"sync"

	entsql "entgo.io/ent/dialect/sql"
)

// slots are the connections of a pool. Who waits for one may hang up; once a statement has its connection, nothing but
// the server interrupts it. database/sql knows one context for both.
type slots chan struct{}

// take waits for a connection as long as ctx lasts, and returns what gives it back.
func (s slots) take(ctx context.Context) (release func(), err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	select {
	case s <- struct{}{}:
		return sync.OnceFunc(func() { <-s }), nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
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
	release func()
}

func (t slotTx) Commit() error {
	defer t.release()
	return t.Tx.Commit()
}

func (t slotTx) Rollback() error {
	defer t.release()
	return t.Tx.Rollback()
}
