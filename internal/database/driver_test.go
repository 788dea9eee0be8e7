package database_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"entgo.io/ent/dialect"
	entsql "entgo.io/ent/dialect/sql"
	"github.com/google/uuid"

	"tenantry/ent"
	"tenantry/ent/refreshtoken"
	"tenantry/ent/user"
	"tenantry/internal/database"
	"tenantry/internal/database/dbtest"
	"tenantry/internal/principal"
)

func TestCountStatements_countsPerContext(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		ctx, acme := newTenant(t, db)
		counted, read := dbtest.CountStatements(ctx)
		for want := range int64(4) {
			if n, _ := read(); n != want {
				t.Fatalf("counted %d statements, want %d", n, want)
			}
			db.Client.Tenant.Query().CountX(counted)
		}
		if _, took := read(); took <= 0 {
			t.Errorf("they took %s", took)
		}

		counted, read = dbtest.CountStatements(ctx)
		err := database.WithTx(counted, db.Client, func(tx *ent.Client) error {
			tx.User.Create().SetTenantID(acme).SetEmail("tx@acme.test").ExecX(counted)
			tx.User.Query().CountX(counted)
			tx.User.Delete().ExecX(counted)
			return nil
		})
		if n, _ := read(); n != 3 || err != nil {
			t.Errorf("counted %d statements of a transaction with 3, %v", n, err)
		}

		// Twenty concurrent statements in one context, and twenty in contexts of their own.
		counted, read = dbtest.CountStatements(ctx)
		var wait sync.WaitGroup
		for range 20 {
			wait.Go(func() { db.Client.Tenant.Query().CountX(counted) })
			wait.Go(func() {
				own, read := dbtest.CountStatements(ctx)
				db.Client.Tenant.Query().CountX(own)
				if n, _ := read(); n != 1 {
					t.Errorf("counted %d statements of a context with 1", n)
				}
			})
		}
		wait.Wait()
		if n, _ := read(); n != 20 {
			t.Errorf("counted %d statements of 20 goroutines", n)
		}
	})
}

func TestStatement_cancelledContextRunsNothing(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		ctx, acme := newTenant(t, db)
		cancelled, cancel := context.WithCancel(ctx)
		cancelled, read := dbtest.CountStatements(cancelled)
		cancel()
		if _, err := db.Client.Tenant.Query().Count(cancelled); !errors.Is(err, context.Canceled) {
			t.Errorf("query: %v", err)
		}
		err := db.Client.Tenant.UpdateOneID(acme).SetName("Changed").Exec(cancelled)
		if !errors.Is(err, context.Canceled) {
			t.Errorf("update: %v", err)
		}
		if err := database.WithTx(cancelled, db.Client, func(*ent.Client) error {
			return nil
		}); !errors.Is(err, context.Canceled) {
			t.Errorf("transaction: %v", err)
		}
		late, cancel := context.WithDeadline(ctx, time.Unix(0, 0))
		defer cancel()
		if _, err := db.Client.Tenant.Query().Count(late); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("query after the deadline: %v", err)
		}
		if n, _ := read(); n != 0 {
			t.Errorf("%d statements were run", n)
		}
	})
}

func TestStatement_cancellationDoesNotInterruptIt(t *testing.T) {
	t.Parallel()
	slow := map[string]string{
		dialect.Postgres: "SELECT pg_sleep(0.2)",
		dialect.SQLite: "SELECT count(*) FROM (WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE " +
			"i < 50000) " +
			"SELECT i FROM n)",
	}
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		database.SetDeadline(db, 0) // the statement is slow on a busy machine
		pid := backend(t, db)
		ctx, cancel := context.WithCancel(t.Context())
		hangUp := time.AfterFunc(5*time.Millisecond, cancel)
		err := query(ctx, db, slow[db.Dialect()], new(any))
		if hangUp.Stop() {
			t.Fatal("the statement ended before the client disconnected")
		}
		if err != nil {
			t.Errorf("the statement was interrupted: %v", err)
		}
		if after := backend(t, db); after != pid {
			t.Errorf("the connection was closed: backend %d before, %d after", pid, after)
		}
	})
}

func TestTransaction_cancellationDoesNotPreventCommit(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		ctx, acme := newTenant(t, db)
		client, cancel := context.WithCancel(ctx)
		err := database.WithTx(client, db.Client, func(tx *ent.Client) error {
			tx.Tenant.UpdateOneID(acme).SetName("Renamed").ExecX(client)
			cancel()
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if name := db.Client.Tenant.GetX(ctx, acme).Name; name != "Renamed" {
			t.Errorf("the tenant is called %q", name)
		}
	})
}

func TestTimes_compareIndependentlyOfZone(t *testing.T) {
	t.Parallel()
	east, west := time.FixedZone("east", 14*3600), time.FixedZone("west", -11*3600-1800)
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		ctx, acme := newTenant(t, db)
		owner := db.Client.User.Create().SetTenantID(acme).SetEmail("a@acme.test").SaveX(ctx).ID
		now := time.Now()
		// Whole and half seconds are written with fewer digits, so their texts might not sort by
		// time.
		for _, now := range []time.Time{
			now, now.Truncate(time.Second), now.Truncate(time.Second).Add(time.Second / 2),
			now.Truncate(time.Second).Add(-1),
			time.Date(2030, 12, 31, 23, 59, 59, 999_999_999, time.UTC),
			time.Date(2031, 1, 1, 0, 0, 0, 123_456_789, east),
		} {
			for _, zone := range []*time.Location{time.UTC, time.Local, east, west} {
				expires := now.Add(time.Second).In(zone)
				id := db.Client.RefreshToken.Create().SetTenantID(acme).SetUserID(owner).SetExpiresAt(expires).
					SaveX(ctx).ID
				stored := db.Client.RefreshToken.GetX(ctx, id).ExpiresAt
				if want := expires.UTC().Truncate(time.Microsecond); !stored.Equal(want) {
					t.Errorf("stored %s, read %s", want, stored)
				}
				live := func(at time.Time) bool {
					return db.Client.RefreshToken.Query().Where(refreshtoken.ID(id),
						refreshtoken.ExpiresAtGT(at)).ExistX(ctx)
				}
				for _, other := range []*time.Location{time.UTC, time.Local, east, west} {
					if !live(now.In(other)) {
						t.Errorf("%s is not after %s", expires, now.In(other))
					}
					if live(now.Add(2 * time.Second).In(other)) {
						t.Errorf("%s is after %s", expires, now.Add(2*time.Second).In(other))
					}
					if live(expires.In(other)) || !live(expires.Add(-time.Microsecond).In(other)) {
						t.Errorf("%s is not itself in %s, to the microsecond", expires, other)
					}
				}
			}
		}
	})
}

func TestTimes_storedTextSortsByTime(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		ctx, acme := newTenant(t, db)
		owner := db.Client.User.Create().SetTenantID(acme).SetEmail("a@acme.test").SaveX(ctx).ID
		start := time.Date(2029, 12, 31, 23, 59, 59, 0, time.UTC)
		var want []time.Time
		for _, micros := range []int{0, 1, 9, 10, 99, 100, 100_000, 123_456, 500_000, 500_001, 999_999, 1_000_000,
			3_600_000_000} {
			want = append(want, start.Add(time.Duration(micros)*time.Microsecond))
		}
		for i := range want {
			zone := time.FixedZone("", (i%5-2)*3600)
			db.Client.RefreshToken.Create().SetTenantID(acme).SetUserID(owner).
				SetExpiresAt(want[len(want)-1-i].In(zone)).ExecX(ctx)
		}
		var found []time.Time
		for _, token := range db.Client.RefreshToken.Query().Order(refreshtoken.ByExpiresAt()).AllX(ctx) {
			found = append(found, token.ExpiresAt)
		}
		if !slices.EqualFunc(found, want, time.Time.Equal) {
			t.Errorf("found %v", found)
		}
	})
}

func TestStatements_evictedStatementsStayUsable(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		ctx, acme := newTenant(t, db)
		for i := range 3 {
			db.Client.User.Create().SetTenantID(acme).SetEmail(fmt.Sprintf("%d@acme.test", i)).ExecX(ctx)
		}
		ids := db.Client.User.Query().IDsX(ctx)
		var wait sync.WaitGroup
		for worker := range 4 {
			wait.Go(func() {
				for i := range 300 {
					// ent writes limits and the length of lists into the statement. Each worker
					// uses another one.
					n := (7*i+75*worker)%300 + 1
					list := slices.Repeat(ids, n/20+1)
					find := func(c *ent.Client) error {
						found, err := c.User.Query().Where(user.IDIn(list...)).Limit(n).IDs(ctx)
						if err == nil && len(found) != min(n, len(ids)) {
							err = fmt.Errorf("found %d", len(found))
						}
						return err
					}
					err := find(db.Client)
					if i%8 == worker {
						err = errors.Join(err, database.WithTx(ctx, db.Client, find))
					}
					if err != nil {
						t.Errorf("limit %d: %v", n, err)
					}
				}
			})
		}
		wait.Wait()
	})
}

// newTenant stores a tenant and returns a context in which the system acts.
func newTenant(t *testing.T, db *database.DB) (context.Context, uuid.UUID) {
	t.Helper()
	ctx := principal.System(t.Context(), "test")
	created, err := db.Client.Tenant.Create().SetSlug("acme").SetName("Acme").Save(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return ctx, created.ID
}

// query runs a statement as ent does, and returns its rows.
func query(ctx context.Context, db *database.DB, statement string, values ...any) error {
	var rows entsql.Rows
	if err := database.EntDriver(db).Query(ctx, statement, []any{}, &rows); err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := rows.Scan(values...); err != nil {
			return err
		}
	}
	return rows.Err()
}

// backend returns the process ID of the server for the connection that is used next, and 0 on
// SQLite.
func backend(t *testing.T, db *database.DB) (pid int) {
	t.Helper()
	if db.Dialect() == dialect.Postgres {
		if err := query(t.Context(), db, "SELECT pg_backend_pid()", &pid); err != nil {
			t.Fatal(err)
		}
	}
	return pid
}
