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

// DeleteReturning deletes the matching rows of a table, of every tenant, and returns the columns of
// the deleted rows. It is one statement: of two concurrent calls, only one returns the row.
func DeleteReturning[T any](ctx context.Context, client *ent.Client, table string, columns []string,
	where *sql.Predicate) (deleted []T, err error) {
	// Both databases accept the quoting and placeholders of Postgres.
	statement, args := sql.Dialect(dialect.Postgres).Delete(table).Where(where).Query()
	deleted, err = Returning[T](ctx, client, statement+" RETURNING "+strings.Join(columns, ", "), args)
	if err != nil {
		return nil, fmt.Errorf("delete from %s: %w", table, err)
	}
	return deleted, nil
}

// Returning runs a hand-written statement and returns its rows. The columns have the names of T's
// sql tags.
func Returning[T any](ctx context.Context, client *ent.Client, statement string, args []any) (returned []T, err error) {
	err = withRows(ctx, client, statement, args, func(rows *stdsql.Rows) error {
		return sql.ScanSlice(rows, &returned)
	})
	return returned, err
}
