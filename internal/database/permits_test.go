package database_test

import (
	"context"
	"database/sql"
	"errors"
	"testing"
	"time"

	entsql "entgo.io/ent/dialect/sql"

	"tenantry/ent"
	"tenantry/internal/database"
	"tenantry/internal/database/dbtest"
)

// withOneConnection opens a database whose pool has one connection.
func withOneConnection(t *testing.T, opts database.Options) *database.DB {
	t.Helper()
	opts.PoolSize, opts.MaxOverflow = 1, 0
	return dbtest.Open(t, opts)
}

func TestPermits_deadlineEndsWaitForConnection(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		db := withOneConnection(t, opts)
		ctx, _ := newTenant(t, db)
		err := database.WithTx(ctx, db.Client, func(tx *ent.Client) error {
			tx.Tenant.Update().SetName("Held").ExecX(ctx)
			late, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
			defer cancel()
			for what, wait := range map[string]func() error{
				"statement": func() error { return db.Client.Tenant.Update().SetName("Late").Exec(late) },
				"transaction": func() error {
					return database.WithTx(late, db.Client, func(*ent.Client) error {
						return nil
					})
				},
				"rows": func() error {
					return database.Rows(late, db.Client, "DELETE FROM roles RETURNING id", nil, func(*sql.Rows) error {
						return nil
					})
				},
			} {
				if err := wait(); !errors.Is(err, context.DeadlineExceeded) || !database.Unavailable(err) {
					t.Errorf("%s: %v", what, err)
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		for range 5 {
			if n := db.Client.Tenant.Query().CountX(ctx); n != 1 {
				t.Errorf("%d tenants", n)
			}
		}
	})
}

// ASVS 13.2.6: the wait for a connection is bounded.
func TestPermits_fullPoolIsRefusedAfterTimeout(t *testing.T) {
	t.Parallel()
	db := withOneConnection(t, dbtest.Postgres(t))
	ctx, _ := newTenant(t, db)
	err := database.WithTx(ctx, db.Client, func(*ent.Client) error {
		for what, err := range map[string]error{
			"statement": db.Client.Tenant.Update().SetName("Late").Exec(ctx),
			"statement by hand": func() error {
				_, err := db.Client.ExecContext(ctx, "DELETE FROM tenants")
				return err
			}(),
			"transaction": database.WithTx(ctx, db.Client, func(*ent.Client) error { return nil }),
			"take": func() error {
				_, err := database.DeleteReturning[struct{}](ctx, db.Client, "roles", []string{"id"},
					entsql.EQ("name", "none"))
				return err
			}(),
			"rows": database.Rows(ctx, db.Client, "SELECT 1", nil, func(*sql.Rows) error { return nil }),
		} {
			if !database.Unavailable(err) || errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%s: %v", what, err)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if n := db.Client.Tenant.Query().CountX(ctx); n != 1 {
		t.Errorf("%d tenants", n)
	}
}

// The rows of a statement hold its connection until they are closed.
func TestRows_holdTheirConnectionUntilClosed(t *testing.T) {
	t.Parallel()
	db := withOneConnection(t, dbtest.Postgres(t))
	ctx, _ := newTenant(t, db)
	failed := errors.New("read")
	for _, want := range []error{nil, failed, nil} {
		read := 0
		err := database.Rows(ctx, db.Client, "SELECT generate_series(1, $1::int)", []any{3},
			func(rows *sql.Rows) error {
				read++
				if err := db.Client.Tenant.Update().SetName("Late").Exec(ctx); !database.Unavailable(err) {
					t.Errorf("beside the rows: %v", err)
				}
				return want
			})
		if !errors.Is(err, want) || (want == nil && read != 3) {
			t.Errorf("%d rows, %v, want %v", read, err, want)
		}
		if err := database.Rows(ctx, db.Client, "SELECT nothing", nil, nil); err == nil {
			t.Error("no error")
		}
	}
	if n := db.Client.Tenant.Query().CountX(ctx); n != 1 {
		t.Errorf("%d tenants", n)
	}
}
