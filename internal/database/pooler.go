package database

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/lib/pq"
	"github.com/lib/pq/pqerror"
)

// errMixed means that a prepared statement may run another client's statement: the pooler shares
// server connections between transactions and keeps the prepared statements on them, and lib/pq
// uses the same statement names on each connection.
var errMixed = errors.New("a pooler between Tenantry and Postgres mixes the prepared statements of its clients: set " +
	"TENANTRY_DB_PREPARED=false, or let the pooler keep a server connection for each session (pool_mode = session)")

// errParameter means that no connection can be opened with this configuration.
var errParameter = errors.New("a pooler between Tenantry and Postgres refuses a start-up parameter")

// mixes reports whether an error shows that a statement was prepared on another server connection:
// this one has no statement of that name, has one already, or has one with other parameters. A
// FATAL protocol violation does not count: a pooler refuses connections with it.
func mixes(e *pq.Error) bool {
	switch e.Code {
	case "26000", "42P05":
		return true
	case "08P01":
		return e.Severity != pqerror.SeverityFatal
	}
	return false
}

// fail stops the use of a database whose pooler mixes statements: no connection is opened or used
// after it. It returns errMixed with the cause.
func (c *connector) fail(cause error) error {
	err := fmt.Errorf("%w (%w)", errMixed, cause)
	if !c.mixed.Swap(true) {
		c.failed <- err
	}
	c.generation.Add(1)
	return err
}

// explained adds advice to the error of a connection that could not be opened.
func (c *connector) explained(err error) error {
	e, ok := errors.AsType[*pq.Error](err)
	// PgBouncer uses one code for every refusal.
	if !ok || e.Code != "08P01" || !strings.Contains(e.Message, "unsupported startup parameter") {
		return err
	}
	if c.prepared {
		return fmt.Errorf("%w: set TENANTRY_DB_PREPARED=false, or, if the pooler keeps the prepared statements of "+
			"its clients apart, name the parameter in its ignore_startup_parameters: %w", errParameter, err)
	}
	return fmt.Errorf("%w: remove it from TENANTRY_DATABASE_URL, or name it in the pooler's "+
		"ignore_startup_parameters: %w", errParameter, err)
}

// probe prepares different statements on two connections and runs them in turn. A pooler that mixes
// statements runs the wrong one, since lib/pq gives both the same name. probe returns errMixed
// then, or the error of a query.
func (c *connector) probe(ctx context.Context) (err error) {
	db := sql.OpenDB(c)
	defer func() { _ = db.Close() }() // only the probe uses these connections
	prepared := make([]*sql.Stmt, 2)
	for i := range prepared {
		conn, err := db.Conn(ctx)
		if err != nil {
			return err
		}
		defer conn.Close() //nolint:errcheck // only the probe uses it
		one, err := conn.PrepareContext(ctx, fmt.Sprintf("SELECT %d", i))
		if err != nil {
			return err
		}
		defer one.Close() //nolint:errcheck // a pooler would keep the statement for its next client
		prepared[i] = one
	}
	for _, i := range slices.Repeat([]int{0, 1}, 3) {
		var answer int
		if err := prepared[i].QueryRowContext(ctx).Scan(&answer); err != nil {
			return err
		}
		if answer != i {
			return c.fail(fmt.Errorf("a statement returned %d, another client's value, instead of %d", answer, i))
		}
	}
	return nil
}
