package database

import (
	"context"
	"database/sql/driver"
	"errors"

	"github.com/lib/pq"
	"github.com/lib/pq/pqerror"
)

// readOnlyTransaction is the SQLSTATE of a write that a standby refuses, or a server with
// default_transaction_read_only.
const readOnlyTransaction = pqerror.Code("25006")

// pqConn has the interfaces that a connection of lib/pq implements. conn embeds all of them, since
// database/sql falls back to slower methods where one is missing.
type pqConn interface {
	driver.Conn
	driver.ConnBeginTx
	driver.ConnPrepareContext
	driver.ExecerContext
	driver.NamedValueChecker
	driver.Pinger
	driver.QueryerContext
	driver.SessionResetter
	driver.Validator
}

// pqStmt has the interfaces that a statement of lib/pq implements, COPY excepted.
type pqStmt interface {
	driver.Stmt
	driver.StmtExecContext
	driver.StmtQueryContext
}

// conn is a connection of lib/pq whose errors the connector sees.
type conn struct {
	pqConn
	connector  *connector
	generation int64
}

// stmt is a prepared statement of such a connection.
type stmt struct {
	pqStmt
	conn *conn
}

// observe returns the error of a statement and reports it to the connector, which discards the
// connections to a server that has become read-only, and fails for a pooler that mixes statements.
func (c *conn) observe(err error) error {
	if err == nil {
		return nil
	}
	e, ok := errors.AsType[*pq.Error](err)
	switch {
	case !ok:
		return err
	case c.connector.prepared && mixes(e):
		return c.connector.fail(err)
	case e.Code == readOnlyTransaction && !c.discarded():
		c.connector.discard()
	}
	return err
}

// discarded reports whether the connection is of an earlier generation.
func (c *conn) discarded() bool { return c.generation != c.connector.generation.Load() }

// IsValid reports whether a connection may be returned to the pool.
func (c *conn) IsValid() bool { return !c.discarded() && c.pqConn.IsValid() }

// ResetSession makes database/sql replace a connection that has been discarded.
func (c *conn) ResetSession(ctx context.Context) error {
	if c.discarded() {
		return driver.ErrBadConn
	}
	return c.pqConn.ResetSession(ctx)
}

// BeginTx begins a transaction. Without options it calls Begin, since BeginTx of lib/pq adds READ
// WRITE: that overrides default_transaction_read_only, with which an operator stops writes to an
// old primary, and a standby refuses it as an unsupported feature instead of a read-only
// transaction.
func (c *conn) BeginTx(ctx context.Context, opts driver.TxOptions) (tx driver.Tx, err error) {
	if opts == (driver.TxOptions{}) {
		tx, err = c.Begin()
	} else {
		tx, err = c.pqConn.BeginTx(ctx, opts)
	}
	return tx, c.observe(err)
}

func (c *conn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	result, err := c.pqConn.ExecContext(ctx, query, args)
	return result, c.observe(err)
}

func (c *conn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	rows, err := c.pqConn.QueryContext(ctx, query, args)
	return rows, c.observe(err)
}

func (c *conn) PrepareContext(ctx context.Context, query string) (driver.Stmt, error) {
	prepared, err := c.pqConn.PrepareContext(ctx, query)
	if err != nil {
		return nil, c.observe(err)
	}
	if whole, ok := prepared.(pqStmt); ok {
		return &stmt{whole, c}, nil
	}
	return prepared, nil // COPY: the server refuses it when it is prepared
}

func (s *stmt) ExecContext(ctx context.Context, args []driver.NamedValue) (driver.Result, error) {
	result, err := s.pqStmt.ExecContext(ctx, args)
	return result, s.conn.observe(err)
}

func (s *stmt) QueryContext(ctx context.Context, args []driver.NamedValue) (driver.Rows, error) {
	rows, err := s.pqStmt.QueryContext(ctx, args)
	return rows, s.conn.observe(err)
}
