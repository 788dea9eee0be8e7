package database

import (
	"context"
	"database/sql"
	"errors"
	"log/slog"
	"net"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
)

const (
	// statementTimeout ends a statement in the server, since no client may interrupt it.
	statementTimeout = 5 * time.Second
	// connectTimeout bounds one attempt to reach the server.
	connectTimeout = 5 * time.Second
	// answerTimeout ends the wait for a server that was asked and says nothing at all: stopped, or
	// behind a network that drops. It would have ended the statement itself before.
	answerTimeout = statementTimeout + 2*time.Second
	// poolTimeout is how long a request waits for a connection before it is refused.
	poolTimeout = 500 * time.Millisecond
	// idleTime is after how long the connections of a peak are given up.
	idleTime = time.Minute
)

// openPostgres opens one pool for everything, once the server answers.
func openPostgres(ctx context.Context, opts Options, log *slog.Logger) (*router, error) {
	dsn, err := url.Parse(opts.URL)
	if err != nil || (dsn.Scheme != "postgres" && dsn.Scheme != "postgresql") {
		// The cause would repeat the DSN, and with it the password.
		return nil, errors.New("the database URL is not of the form postgres://user:password@host:port/database")
	}
	c, err := newConnector(dsn, func(q url.Values) {
		// One attempt must not outlast all of them: lib/pq heeds no context once it is connected,
		// and waits for the first byte.
		attempt := min(connectTimeout, max(time.Second, opts.ConnectTimeout))
		setDefault(q, "connect_timeout", strconv.Itoa(int(attempt.Seconds())))
		if opts.Prepared {
			setDefault(q, "statement_timeout", strconv.FormatInt(statementTimeout.Milliseconds(), 10))
		}
		oneRoundTrip(q)
	}, answerTimeout, opts.Prepared)
	if err != nil {
		return nil, err
	}
	db := sql.OpenDB(c)
	p, err := startPool(ctx, db, c, opts, log)
	if err != nil {
		_ = db.Close() // its failure would only hide the reason
		return nil, err
	}
	return &router{read: p, write: p, connector: c}, nil
}

// startPool waits for the server and returns the pool of what it allows.
func startPool(ctx context.Context, db *sql.DB, c *connector, opts Options, log *slog.Logger) (*pool, error) {
	if err := await(ctx, db, opts.ConnectTimeout, log); err != nil {
		return nil, err
	}
	if err := supported(ctx, db, log); err != nil {
		return nil, err
	}
	size := poolSize(ctx, db, opts, log)
	if opts.Prepared {
		switch err := c.probe(ctx); {
		case errors.Is(err, errMixed):
			return nil, err
		case err != nil:
			log.WarnContext(ctx, "prepared statements not tested through the pooler, if there is one", "error", err)
		}
	}
	db.SetMaxOpenConns(size)
	// With fewer, each connection above their number would be closed on return and forked again by
	// the server.
	db.SetMaxIdleConns(size)
	db.SetConnMaxIdleTime(idleTime)
	return newPool(db, semconv.DBSystemNamePostgreSQL, opts.Prepared, poolTimeout)
}

// oneRoundTrip makes lib/pq send a statement that is not prepared with its parameters. Otherwise it
// describes the statement first, and a pooler in transaction mode may run it on another server
// connection, which does not have it.
func oneRoundTrip(q url.Values) { setDefault(q, "binary_parameters", "yes") }

// openDSN opens a pool on a Postgres DSN after change has set further parameters. An answer is
// waited for as long as patience; zero is for ever.
func openDSN(dsn *url.URL, change func(url.Values), patience time.Duration) (*sql.DB, error) {
	c, err := newConnector(dsn, change, patience, false)
	if err != nil {
		return nil, err
	}
	return sql.OpenDB(c), nil
}

// complete is a DSN with the parameters that change sets, and those that every connection has,
// without those of libpq that the driver does not know.
func complete(dsn *url.URL, change func(url.Values)) (string, error) {
	q := dsn.Query()
	if err := dropLibpqParameters(q); err != nil {
		return "", err
	}
	change(q)
	setDefault(q, "connect_timeout", strconv.Itoa(int(connectTimeout.Seconds())))
	if os.Getenv("PGAPPNAME") == "" {
		setDefault(q, "application_name", "tenantry")
	}
	if strings.Contains(dsn.Host+q.Get("host"), ",") ||
		(dsn.Host == "" && !q.Has("host") && strings.Contains(os.Getenv("PGHOST"), ",")) {
		// Otherwise the pool might read a standby that is behind the change log, and cache what it
		// reads.
		setDefault(q, "target_session_attrs", "read-write")
	}
	withParameters := *dsn
	splitHosts(&withParameters, q)
	if withParameters.Path == "" {
		withParameters.Path = "/" // or, without a host too, it would not be written as a URL
	}
	withParameters.RawQuery = q.Encode()
	return withParameters.String(), nil
}

// splitHosts moves host1:port1,host2:port2 to where lib/pq reads lists: it takes a port from the
// authority for all only.
func splitHosts(dsn *url.URL, q url.Values) {
	authority := strings.Split(dsn.Host, ",")
	if len(authority) == 1 {
		return
	}
	hosts, ports := make([]string, len(authority)), make([]string, len(authority))
	for i, a := range authority {
		var err error
		if hosts[i], ports[i], err = net.SplitHostPort(a); err != nil {
			hosts[i], ports[i] = a, "5432"
		}
	}
	dsn.Host = ""
	q.Set("host", strings.Join(hosts, ","))
	q.Set("port", strings.Join(ports, ","))
}

// variables are those of the parameters that have a default here: the default must not go before
// them.
var variables = map[string]string{
	"connect_timeout": "PGCONNECT_TIMEOUT", "target_session_attrs": "PGTARGETSESSIONATTRS",
}

func setDefault(q url.Values, key, value string) {
	if !q.Has(key) && os.Getenv(variables[key]) == "" {
		q.Set(key, value)
	}
}
