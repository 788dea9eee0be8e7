package database

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"time"

	"github.com/lib/pq"
)

const (
	// statementTimeout ends a statement in the server, since no client may interrupt it.
	statementTimeout = 5 * time.Second
	// connectTimeout bounds one attempt to reach the server.
	connectTimeout = 5 * time.Second
	// idleTime is after how long the connections of a peak are given up.
	idleTime = time.Minute
)

// openPostgres opens one pool for everything. Idle connections equal open ones: with fewer, each connection above their
// number is closed on return and forked again by the server.
func openPostgres(_ context.Context, opts Options) (*router, error) {
	dsn, err := url.Parse(opts.URL)
	if err != nil || (dsn.Scheme != "postgres" && dsn.Scheme != "postgresql") {
		// The cause would repeat the DSN, and with it the password.
		return nil, errors.New("the database URL is not of the form postgres://user:password@host:port/database")
	}
	db, err := openDSN(dsn, func(q url.Values) {
		if opts.Prepared {
			setDefault(q, "statement_timeout", strconv.FormatInt(statementTimeout.Milliseconds(), 10))
		} else {
			// One round trip without a prepared statement; and a pooler refuses start-up parameters that it does not know.
			setDefault(q, "binary_parameters", "yes")
		}
	})
	if err != nil {
		return nil, err
	}
	size := opts.PoolSize + opts.MaxOverflow
	db.SetMaxOpenConns(size)
	db.SetMaxIdleConns(size)
	db.SetConnMaxIdleTime(idleTime)
	p, err := newPool(db, opts.Prepared)
	if err != nil {
		return nil, err
	}
	return &router{read: p, write: p}, nil
}

// openDSN opens a pool on a Postgres DSN after change has set further parameters.
func openDSN(dsn *url.URL, change func(url.Values)) (*sql.DB, error) {
	q := dsn.Query()
	setDefault(q, "connect_timeout", strconv.Itoa(int(connectTimeout.Seconds())))
	setDefault(q, "application_name", "tenantry")
	change(q)
	withParameters := *dsn
	withParameters.RawQuery = q.Encode()
	connector, err := pq.NewConnector(withParameters.String())
	if err != nil {
		return nil, fmt.Errorf("read database URL: %w", err)
	}
	return sql.OpenDB(connector), nil
}

func setDefault(q url.Values, key, value string) {
	if !q.Has(key) {
		q.Set(key, value)
	}
}
