package database

import (
	"context"
	stdsql "database/sql"
	"fmt"
	"strings"

	"entgo.io/ent/dialect"
	"entgo.io/ent/dialect/sql"

	"tenantry/ent"
)

// Take deletes the rows of a table that where describes, of whatever tenant, and returns these columns of them. It is one statement, so
// that of two who take the same row one gets it.
func Take[T any](ctx context.Context, client *ent.Client, table string, columns []string, where *sql.Predicate) (taken []T, err error) {
	// Both databases read the names and placeholders of Postgres.
	statement, args := sql.Dialect(dialect.Postgres).Delete(table).Where(where).Query()
	taken, err = Returning[T](ctx, client, statement+" RETURNING "+strings.Join(columns, ", "), args)
	if err != nil {
		return nil, fmt.Errorf("take from %s: %w", table, err)
	}
	return taken, nil
}

// Returning runs a statement that was written by hand and returns its rows, whose columns have the names of T's sql tags.
func Returning[T any](ctx context.Context, client *ent.Client, statement string, args []any) (returned []T, err error) {
	err = withRows(ctx, client, statement, args, func(rows *stdsql.Rows) error { return sql.ScanSlice(rows, &returned) })
	return returned, err
}
