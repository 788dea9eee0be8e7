package database

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"entgo.io/ent/dialect"
	entsql "entgo.io/ent/dialect/sql"
	"github.com/google/uuid"
	"go.opentelemetry.io/otel/attribute"

	"tenantry/internal/principal"
)

// pool is a *sql.DB and its prepared statements. statements is nil if they are turned off.
type pool struct {
	db         *sql.DB
	statements *statements
	permits    permits
	// system names the database in traces.
	system attribute.KeyValue
	// deadline bounds a statement of a database without statement_timeout. Zero means no deadline.
	deadline time.Duration
	// written is called after each write that may have changed cached data.
	written func()
}

// newPool returns the pool of a *sql.DB whose number of connections is set. timeout bounds the wait
// for a connection.
func newPool(db *sql.DB, system attribute.KeyValue, prepared bool, timeout time.Duration) (*pool, error) {
	p := &pool{db: db, system: system, permits: permits{make(chan struct{}, db.Stats().MaxOpenConnections), timeout},
		written: func() {}}
	if !prepared {
		return p, nil
	}
	var err error
	p.statements, err = newStatements(db)
	return p, err
}

// wrote reports a statement that may have changed cached data. It also reports a failed one, which
// may have committed.
func (p *pool) wrote(ctx context.Context, query string) {
	if invalidates(ctx, query) {
		p.written()
	}
}

func (p *pool) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	return run(ctx, p, query, args, func(ctx context.Context, args []any) (sql.Result, error) {
		if p.statements == nil {
			return p.db.ExecContext(ctx, query, args...)
		}
		stmt, err := p.statements.prepare(ctx, query) //nolint:sqlclosecheck // the cache closes it
		if err != nil {
			return nil, err
		}
		return stmt.ExecContext(ctx, args...)
	})
}

func (p *pool) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	return run(ctx, p, query, args, func(ctx context.Context, args []any) (*sql.Rows, error) {
		if p.statements == nil || replans(ctx) {
			return p.db.QueryContext(ctx, query, args...)
		}
		stmt, err := p.statements.prepare(ctx, query) //nolint:sqlclosecheck // the cache closes it
		if err != nil {
			return nil, err
		}
		return stmt.QueryContext(ctx, args...)
	})
}

// transaction runs statements on the connection of one transaction. It uses statements that are
// already prepared and prepares none: that needs a second connection, and a pool whose connections
// are all in transactions would wait for itself.
type transaction struct {
	*pool
	tx *sql.Tx
	// changed is set once a statement may have changed cached data.
	changed bool
}

func (t *transaction) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	t.changed = t.changed || invalidates(ctx, query)
	return run(ctx, t.pool, query, args, func(ctx context.Context, args []any) (sql.Result, error) {
		if stmt, ok := t.prepared(ctx, query); ok { //nolint:sqlclosecheck // the transaction closes it
			return stmt.ExecContext(ctx, args...)
		}
		return t.tx.ExecContext(ctx, query, args...)
	})
}

func (t *transaction) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	t.changed = t.changed || invalidates(ctx, query)
	return run(ctx, t.pool, query, args, func(ctx context.Context, args []any) (*sql.Rows, error) {
		if stmt, ok := t.prepared(ctx, query); ok { //nolint:sqlclosecheck // the transaction closes it
			return stmt.QueryContext(ctx, args...)
		}
		return t.tx.QueryContext(ctx, query, args...)
	})
}

func (t *transaction) prepared(ctx context.Context, query string) (*sql.Stmt, bool) {
	if t.statements == nil {
		return nil, false
	}
	stmt, ok := t.statements.prepared(query)
	if !ok {
		return nil, false
	}
	return t.tx.StmtContext(ctx, stmt), true
}

// run counts and traces a statement. A client that disconnects does not interrupt the statement:
// lib/pq would close the connection, so such clients could empty the pool. The server's
// statement_timeout bounds it, or the deadline of the pool.
func run[T any](ctx context.Context, p *pool, query string, args []any,
	statement func(context.Context, []any) (T, error)) (answer T, err error) {
	if err := ctx.Err(); err != nil {
		return answer, err
	}
	defer func(began time.Time) { principal.CountStatement(ctx, time.Since(began)) }(time.Now())
	ctx, span := p.startSpan(ctx, query)
	defer func() { endSpan(span, err) }()
	ctx = context.WithoutCancel(ctx)
	if p.deadline > 0 {
		// Do not cancel: rows are read after this function has returned.
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, p.deadline) //nolint:gosec // see above
		_ = cancel
	}
	return statement(ctx, portable(args))
}

// idLength is the length of a UUID as text (RFC 9562 §4).
const idLength = 36

// portable converts values to the form that both databases store. Times become UTC, in
// microseconds, since SQLite compares them as text. JSON becomes text: both databases would read
// bytes as their own binary form. An ID that ent has read as bytes becomes text too.
func portable(args []any) []any {
	for i, arg := range args {
		switch v := arg.(type) {
		case time.Time:
			args[i] = v.UTC().Truncate(time.Microsecond)
		case *time.Time:
			if v != nil {
				args[i] = v.UTC().Truncate(time.Microsecond)
			}
		case json.RawMessage:
			if v != nil {
				args[i] = string(v)
			}
		case []byte:
			if len(v) == idLength {
				if _, err := uuid.ParseBytes(v); err == nil {
					args[i] = string(v)
				}
			}
		}
	}
	return args
}

// router sends reads to one pool and everything else to another. On Postgres they are the same.
type router struct {
	read, write *pool
	connector   *connector // nil on SQLite
}

func (r *router) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	defer r.write.wrote(ctx, query)
	return r.write.ExecContext(ctx, query, args...)
}

func (r *router) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	defer r.write.wrote(ctx, query)
	return r.of(query).QueryContext(ctx, query, args...) //nolint:sqlclosecheck // the caller closes it
}

// of returns the pool that serves a query.
func (r *router) of(query string) *pool {
	if strings.HasPrefix(query, "SELECT") {
		return r.read
	}
	return r.write
}

// entDriver is the dialect.Driver under the ent client.
type entDriver struct {
	*entsql.Driver
	pools *router
}

func newDriver(name string, pools *router) *entDriver {
	return &entDriver{Driver: entsql.NewDriver(name, entsql.Conn{ExecQuerier: pools}), pools: pools}
}

// Tx begins a transaction.
func (d *entDriver) Tx(ctx context.Context) (dialect.Tx, error) { return d.BeginTx(ctx, nil) }

// BeginTx begins a transaction with options. A client that disconnects does not end it.
func (d *entDriver) BeginTx(ctx context.Context, opts *sql.TxOptions) (dialect.Tx, error) {
	release, err := d.pools.write.permits.acquire(ctx)
	if err != nil {
		return nil, err
	}
	tx, err := d.pools.write.db.BeginTx(context.WithoutCancel(ctx), opts)
	if err != nil {
		release()
		return nil, err
	}
	t := &transaction{pool: d.pools.write, tx: tx}
	conn := entsql.NewDriver(d.Dialect(), entsql.Conn{ExecQuerier: t}).Conn
	return permitTx{&entsql.Tx{Conn: conn, Tx: tx}, t, release}, nil
}

// Close closes both pools. It returns no error for connections that the server has closed.
func (d *entDriver) Close() error {
	err := d.pools.write.db.Close()
	if d.pools.read != d.pools.write {
		err = errors.Join(err, d.pools.read.db.Close())
	}
	if errors.Is(err, errClosed) {
		return nil
	}
	return err
}
