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
	// statementTimeout bounds a statement, which a client cannot interrupt.
	statementTimeout = 5 * time.Second
	// connectTimeout bounds one attempt to reach the server.
	connectTimeout = 5 * time.Second
	// answerTimeout bounds the wait for the reply of a server that is stopped, or behind a network
	// that drops packets. A healthy server ends the statement before, by statementTimeout.
	answerTimeout = statementTimeout + 2*time.Second
	// poolTimeout is how long a request waits for a connection before it is refused.
	poolTimeout = 500 * time.Millisecond
	// idleTime is how long an unused connection stays open.
	idleTime = time.Minute
)

// openPostgres waits for the server and opens one pool for reads and writes.
func openPostgres(ctx context.Context, opts Options, log *slog.Logger) (*router, error) {
	dsn, err := url.Parse(opts.URL)
	if err != nil || (dsn.Scheme != "postgres" && dsn.Scheme != "postgresql") {
		// The cause contains the DSN with the password.
		return nil, errors.New("the database URL is not of the form postgres://user:password@host:port/database")
	}
	c, err := newConnector(dsn, func(q url.Values) {
		// One attempt must not take longer than ConnectTimeout: once lib/pq is connected, it
		// ignores the context and waits for the first byte.
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
		_ = db.Close() // its error would hide the cause
		return nil, err
	}
	return &router{read: p, write: p, connector: c}, nil
}

// startPool waits for the server and returns a pool of the size that the server allows.
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
	// With fewer idle connections, each connection above their number would be closed on return,
	// and the server would fork for the next one.
	db.SetMaxIdleConns(size)
	db.SetConnMaxIdleTime(idleTime)
	return newPool(db, semconv.DBSystemNamePostgreSQL, opts.Prepared, poolTimeout)
}

// oneRoundTrip makes lib/pq send a statement that is not prepared with its parameters. Otherwise it
// describes the statement first, and a pooler in transaction mode may run it on another server
// connection, which does not have it.
func oneRoundTrip(q url.Values) { setDefault(q, "binary_parameters", "yes") }

// openDSN opens a pool on a Postgres DSN, whose parameters change may set. timeout bounds the wait
// for the reply to a statement; zero means no bound.
func openDSN(dsn *url.URL, change func(url.Values), timeout time.Duration) (*sql.DB, error) {
	c, err := newConnector(dsn, change, timeout, false)
	if err != nil {
		return nil, err
	}
	return sql.OpenDB(c), nil
}

// complete returns a DSN with the parameters that change sets and those of every connection, and
// without the parameters of libpq that the driver does not support.
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
		// Otherwise the pool might read from a standby that is behind the change log, and cache old
		// rows.
		setDefault(q, "target_session_attrs", "read-write")
	}
	withParameters := *dsn
	splitHosts(&withParameters, q)
	if withParameters.Path == "" {
		withParameters.Path = "/" // with neither host nor path, String would not return a URL
	}
	withParameters.RawQuery = q.Encode()
	return withParameters.String(), nil
}

// splitHosts moves host1:port1,host2:port2 from the authority to the parameters host and port: in
// the authority lib/pq reads one port for all hosts.
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

// variables are the environment variables of parameters with a default. They take precedence over
// the default.
var variables = map[string]string{
	"connect_timeout": "PGCONNECT_TIMEOUT", "target_session_attrs": "PGTARGETSESSIONATTRS",
}

func setDefault(q url.Values, key, value string) {
	if !q.Has(key) && os.Getenv(variables[key]) == "" {
		q.Set(key, value)
	}
}
