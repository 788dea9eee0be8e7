package database_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"
	"testing"
	"time"

	"github.com/lib/pq"
	"github.com/lib/pq/pqerror"

	"tenantry/ent"
	"tenantry/internal/database"
	"tenantry/internal/database/dbtest"
)

// availabilityErrors are errors, and whether each means that the database is unavailable.
func availabilityErrors() []availabilityError {
	code := func(c string) error { return &pq.Error{Code: pqerror.Code(c)} }
	return []availabilityError{
		{"no error", nil, false},
		{"server stops", code("57P01"), true},
		{"server crashed", code("57P02"), true},
		{"server starts", code("57P03"), true},
		{"connection failure", code("08006"), true},
		{"too many connections", code("53300"), true},
		{"disk full", code("53100"), true},
		{"statement timeout", code("57014"), true},
		{"primary has moved", code("25006"), true},
		{"unique violation", code("23505"), false},
		{"foreign key violation", code("23503"), false},
		{"syntax error", code("42601"), false},
		{"password changed", code("28P01"), true},
		{"role may not sign in", code("28000"), true},
		{"database renamed", code("3D000"), true},
		{"database dropped", code("57P04"), true},
		{"idle session ended", code("57P05"), true},
		{"disk error", code("58030"), true},
		{"file missing", code("58P01"), true},
		{"lock timeout", code("55P03"), true},
		{"no connections accepted", &pq.Error{Code: "55000", Severity: pqerror.SeverityFatal}, true},
		{"object not ready", &pq.Error{Code: "55000", Severity: "ERROR"}, false},
		{"session ended", &pq.Error{Code: "25P03", Severity: pqerror.SeverityFatal}, true},
		{"role may not connect", &pq.Error{Code: "42501", Severity: pqerror.SeverityFatal}, true},
		{"role may not read", &pq.Error{Code: "42501", Severity: "ERROR"}, false},
		{"data corrupted", code("XX001"), false},
		{"no rows", sql.ErrNoRows, false},
		{"not found", &ent.NotFoundError{}, false},
		{"client disconnected", context.Canceled, false},
		{"deadline", context.DeadlineExceeded, true},
		{"bad connection", driver.ErrBadConn, true},
		{"connection given back", sql.ErrConnDone, true},
		{"end of stream", io.EOF, true},
		{"end in mid-message", io.ErrUnexpectedEOF, true},
		{"connection refused", &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}, true},
		{"connection reset", &net.OpError{Op: "read", Net: "tcp", Err: syscall.ECONNRESET}, true},
		{"connection closed", net.ErrClosed, true},
		{"host unknown", &net.DNSError{Err: "no such host", IsNotFound: true}, true},
		{"anything else", errors.New("boom"), false},
	}
}

type availabilityError struct {
	name string
	err  error
	want bool
}

func TestUnavailable(t *testing.T) {
	t.Parallel()
	for _, test := range availabilityErrors() {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if got := database.Unavailable(test.err); got != test.want {
				t.Errorf("%v: %t", test.err, got)
			}
			if test.err == nil {
				return
			}
			if got := database.Unavailable(fmt.Errorf("read user: %w", test.err)); got != test.want {
				t.Errorf("wrapped: %t", got)
			}
			if got := database.Unavailable(errors.Join(errors.New("other"), test.err)); got != test.want {
				t.Errorf("joined: %t", got)
			}
		})
	}
}

func TestUnavailable_terminatedBackend(t *testing.T) {
	t.Parallel()
	db := dbtest.Open(t, dbtest.Postgres(t))
	// The backend terminates itself, so that a query is certain to be running.
	const end = "SELECT pg_terminate_backend(pg_backend_pid()), pg_sleep(4)"
	if err := query(t.Context(), db, end, new(any), new(any)); !database.Unavailable(err) {
		t.Errorf("in mid-query: %v", err)
	}
	ctx, _ := newTenant(t, db)
	err := database.WithTx(ctx, db.Client, func(tx *ent.Client) error {
		pid := 0
		if err := query(ctx, db, "SELECT pid FROM pg_stat_activity WHERE state = 'idle in transaction' AND "+
			"datname = current_database()", &pid); err != nil || pid == 0 {
			t.Errorf("no backend in transaction: %v", err)
		}
		if err := query(ctx, db, fmt.Sprintf("SELECT pg_terminate_backend(%d, 4000)", pid), new(any)); err != nil {
			t.Error(err)
		}
		_, err := tx.Tenant.Query().Count(ctx)
		return err
	})
	if !database.Unavailable(err) {
		t.Errorf("in a transaction: %v", err)
	}
	if n := db.Client.Tenant.Query().CountX(ctx); n != 1 {
		t.Errorf("%d tenants after it", n)
	}
}

func TestUnavailable_statementTimeout(t *testing.T) {
	t.Parallel()
	opts := dbtest.Postgres(t)
	opts.URL += "&statement_timeout=50"
	db := dbtest.Open(t, opts)
	pid := backend(t, db)
	if err := query(t.Context(), db, "SELECT pg_sleep(4)", new(any)); !database.Unavailable(err) {
		t.Errorf("too long: %v", err)
	}
	if after := backend(t, db); after != pid {
		t.Errorf("the connection was closed: backend %d before, %d after", pid, after)
	}
}

// SQLite has no statement timeout, so the pool has a deadline.
func TestUnavailable_statementDeadlineOnSQLite(t *testing.T) {
	t.Parallel()
	db := dbtest.Open(t, dbtest.SQLite(t))
	database.SetDeadline(db, 100*time.Millisecond)
	ctx, _ := newTenant(t, db)
	const endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"
	if err := query(ctx, db, "SELECT * FROM ("+endless+")", new(any)); !database.Unavailable(err) {
		t.Errorf("read: %v", err)
	}
	err := database.WithTx(ctx, db.Client, func(tx *ent.Client) error {
		tx.Tenant.Update().SetName("Half").ExecX(ctx)
		_, err := tx.ExecContext(ctx, "UPDATE tenants SET name = ("+endless+")")
		return err
	})
	if !database.Unavailable(err) {
		t.Errorf("write: %v", err)
	}
	database.SetDeadline(db, time.Minute)
	if got := db.Client.Tenant.Query().OnlyX(ctx).Name; got != "Acme" {
		t.Errorf("half a transaction was kept: %s", got)
	}
	db.Client.Tenant.Update().SetName("Free").ExecX(ctx)
}

// The kernel may remount a file system read-only after a fault.
func TestUnavailable_readOnlySQLiteFile(t *testing.T) {
	t.Parallel()
	db := dbtest.Open(t, dbtest.SQLite(t))
	ctx, _ := newTenant(t, db)
	if _, err := db.Client.ExecContext(ctx, "PRAGMA query_only = 1"); err != nil {
		t.Fatal(err)
	}
	if err := db.Client.Tenant.Update().SetName("Lost").Exec(ctx); !database.Unavailable(err) {
		t.Errorf("%v", err)
	}
}

func TestUnavailable_constraintViolationIsNot(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		ctx, _ := newTenant(t, db)
		err := db.Client.Tenant.Create().SetSlug("acme").SetName("Twin").Exec(ctx)
		if !ent.IsConstraintError(err) || database.Unavailable(err) {
			t.Errorf("second tenant of a slug: %v", err)
		}
		if _, err := db.Client.User.Query().Only(ctx); !ent.IsNotFound(err) || database.Unavailable(err) {
			t.Errorf("no user: %v", err)
		}
	})
}
