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
	rows, err := client.QueryContext(context.WithValue(ctx, permitKey{}, held), statement,
		args...) //nolint:rowserrcheck // read does
	if err != nil {
		return err
	}
	defer rows.Close() //nolint:errcheck // read says what went wrong
	return read(rows)
}

// permit is the permit of a connection. withRows releases it after it has closed the rows.
type permit struct{ release func() }

type permitKey struct{}

// QueryContext waits for a connection and runs a hand-written statement. Its rows are those of
// database/sql, which have no hook for their end, so withRows releases the permit.
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
