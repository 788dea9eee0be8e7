package database_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/lib/pq"
	"github.com/lib/pq/pqerror"

	"tenantry/ent"
	"tenantry/ent/tenant"
	"tenantry/internal/database"
	"tenantry/internal/database/dbtest"
)

func TestWithTx(t *testing.T) {
	t.Parallel()
	boom := errors.New("boom")
	for name, test := range map[string]struct {
		end    func() error
		err    error
		panics bool
		stored int
	}{
		"commits":                {end: func() error { return nil }, stored: 2},
		"rolls back on an error": {end: func() error { return boom }, err: boom, stored: 1},
		"rolls back on a panic":  {end: func() error { panic(boom) }, panics: true, stored: 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dbtest.Each(t, func(t *testing.T, db *database.DB) {
				ctx, _ := newTenant(t, db)
				var panicked any
				var err error
				func() {
					defer func() { panicked = recover() }()
					err = database.WithTx(ctx, db.Client, func(tx *ent.Client) error {
						tx.Tenant.Create().SetSlug("other").SetName("Other").ExecX(ctx)
						if n := tx.Tenant.Query().CountX(ctx); n != 2 {
							t.Errorf("the transaction does not see its own write: %d tenants", n)
						}
						return test.end()
					})
				}()
				if !errors.Is(err, test.err) {
					t.Errorf("answered %v, want %v", err, test.err)
				}
				if (panicked != nil) != test.panics {
					t.Errorf("panicked with %v", panicked)
				}
				if n := db.Client.Tenant.Query().CountX(ctx); n != test.stored {
					t.Errorf("%d tenants, want %d", n, test.stored)
				}
				// A transaction left open would keep SQLite's only writer, and on Postgres the
				// row's lock.
				if err := db.Client.Tenant.Update().SetName("Free").Exec(ctx); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

func TestWithTx_returnsEveryConnection(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		ctx, _ := newTenant(t, db)
		// More transactions than the pool has connections.
		for range 20 {
			err := database.WithTx(ctx, db.Client, func(*ent.Client) error { return context.Canceled })
			if !errors.Is(err, context.Canceled) {
				t.Fatal(err)
			}
		}
		if open := db.SQL.Stats().InUse; open != 0 {
			t.Errorf("%d connections are in use", open)
		}
	})
}

func TestWithTx_nestedTransactionIsRefused(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		ctx, _ := newTenant(t, db)
		err := database.WithTx(ctx, db.Client, func(tx *ent.Client) error {
			return database.WithTx(ctx, tx, func(*ent.Client) error { return nil })
		})
		if !errors.Is(err, ent.ErrTxStarted) {
			t.Errorf("answered %v", err)
		}
	})
}

// Postgres rolls back a transaction in which a statement failed, also if the caller ignored the
// error.
func TestWithTx_ignoredStatementErrorFailsTheCommit(t *testing.T) {
	t.Parallel()
	db := dbtest.Open(t, dbtest.Postgres(t))
	ctx, _ := newTenant(t, db)
	err := database.WithTx(ctx, db.Client, func(tx *ent.Client) error {
		tx.Tenant.Create().SetSlug("other").SetName("Other").ExecX(ctx)
		if err := tx.Tenant.Create().SetSlug("acme").SetName("Twin").Exec(ctx); !ent.IsConstraintError(err) {
			t.Errorf("second tenant of a slug: %v", err)
		}
		return nil
	})
	if n := db.Client.Tenant.Query().CountX(ctx); err == nil || n != 1 {
		t.Errorf("%d tenants after %v", n, err)
	}
}

// Postgres rolls back one of two transactions that wait for each other. WithTx runs it again.
func TestWithTx_deadlockIsRetried(t *testing.T) {
	t.Parallel()
	db := dbtest.Open(t, dbtest.Postgres(t))
	ctx, _ := newTenant(t, db)
	db.Client.Tenant.Create().SetSlug("other").SetName("Other").ExecX(ctx)
	var runs atomic.Int64
	var met, both sync.WaitGroup
	met.Add(2)
	for _, order := range [][2]string{{"acme", "other"}, {"other", "acme"}} {
		both.Go(func() {
			err := database.WithTx(ctx, db.Client, func(tx *ent.Client) error {
				first := runs.Add(1) <= 2
				for i, slug := range order {
					if err := tx.Tenant.Update().Where(tenant.Slug(slug)).SetName("Changed").Exec(ctx); err != nil {
						return err
					}
					if i == 0 && first {
						met.Done()
						met.Wait()
					}
				}
				return nil
			})
			if err != nil {
				t.Errorf("%v: %v", order, err)
			}
		})
	}
	both.Wait()
	if n := runs.Load(); n != 3 {
		t.Errorf("%d runs", n)
	}
}

func TestWithTx_failsAfterThreeRuns(t *testing.T) {
	t.Parallel()
	for code, want := range map[string]int{"40001": 3, "40P01": 3, "23505": 1, "57P01": 1} {
		t.Run(code, func(t *testing.T) {
			t.Parallel()
			db := dbtest.Open(t, dbtest.Postgres(t))
			ctx, _ := newTenant(t, db)
			runs := 0
			err := database.WithTx(ctx, db.Client, func(*ent.Client) error {
				runs++
				return fmt.Errorf("write: %w", &pq.Error{Code: pqerror.Code(code)})
			})
			if runs != want || database.Unavailable(err) != (code != "23505") {
				t.Errorf("%d runs, %v", runs, err)
			}
		})
	}
}
