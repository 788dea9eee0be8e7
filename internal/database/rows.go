package database

import (
	"context"
	"database/sql"

	"tenantry/ent"
)

// Rows runs a hand-written statement and passes each row to read.
func Rows(ctx context.Context, client *ent.Client, statement string, args []any, read func(*sql.Rows) error) error {
	return withRows(ctx, client, statement, args, func(rows *sql.Rows) error {
		for rows.Next() {
			if err := read(rows); err != nil {
				return err
			}
		}
		return rows.Err()
	})
}

// withRows runs a hand-written statement, passes its rows to read, and then releases the
// connection.
func withRows(ctx context.Context, client *ent.Client, statement string, args []any, read func(*sql.Rows) error) error {
	held := &permit{release: func() {}}
	defer func() { held.release() }()
	ctx = context.WithValue(ctx, permitKey{}, held)
	rows, err := client.QueryContext(ctx, statement, args...) //nolint:rowserrcheck // read checks it
	if err != nil {
		return err
	}
	defer rows.Close() //nolint:errcheck // read returns the error
	return read(rows)
}

// permit is the permit of a connection. withRows releases it after it has closed the rows.
type permit struct{ release func() }

type permitKey struct{}

// QueryContext waits for a connection and runs a hand-written statement. *sql.Rows has no hook for
// Close, so withRows releases the permit.
func (d *entDriver) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	release, err := d.pools.of(query).permits.acquire(ctx)
	if err != nil {
		return nil, err
	}
	rows, err := d.Driver.QueryContext(ctx, query, args...)
	if held, ok := ctx.Value(permitKey{}).(*permit); ok && err == nil {
		held.release = release
	} else {
		release()
	}
	return rows, err
}
