package database

import (
	"context"
	"database/sql"

	"tenantry/ent"
)

// Rows runs a statement that was written by hand and passes each row to read.
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

// withRows runs a statement that was written by hand, passes its rows to read, and gives the connection back after that.
func withRows(ctx context.Context, client *ent.Client, statement string, args []any, read func(*sql.Rows) error) error {
	held := &slot{release: func() {}}
	defer func() { held.release() }()
	rows, err := client.QueryContext(context.WithValue(ctx, slotKey{}, held), statement, args...) //nolint:rowserrcheck // read does
	if err != nil {
		return err
	}
	defer rows.Close() //nolint:errcheck // read says what went wrong
	return read(rows)
}

// slot is the place of a connection, until whoever reads the rows has closed them.
type slot struct{ release func() }

type slotKey struct{}

// QueryContext waits for a connection and runs a statement that was written by hand. Its rows are those of database/sql, which tell nobody
// when they are closed; withRows does.
func (d *entDriver) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	release, err := d.pools.of(query).slots.take(ctx)
	if err != nil {
		return nil, err
	}
	rows, err := d.Driver.QueryContext(ctx, query, args...)
	if held, ok := ctx.Value(slotKey{}).(*slot); ok && err == nil {
		held.release = release
	} else {
		release()
	}
	return rows, err
}
