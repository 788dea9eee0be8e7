package database_test

import (
	"context"
	"errors"
	"log/slog"
	"regexp"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"entgo.io/ent/dialect"

	"tenantry/ent"
	"tenantry/ent/refreshtoken"
	"tenantry/internal/cache"
	"tenantry/internal/database"
	"tenantry/internal/database/dbtest"
	"tenantry/internal/principal"
)

// Two instances delete the expired rows of every tenant, each row once, and keep the others.
func TestDeleteExpired_concurrentCallsDeleteEachRowOnce(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		const expired, active = 1203, 40
		instances := []*database.DB{dbtest.Open(t, opts), dbtest.Open(t, opts)}
		now := time.Now().UTC().Truncate(time.Second)
		sessions(t, instances[0], now, expired, active)
		var removed atomic.Int64
		var all sync.WaitGroup
		for _, db := range instances {
			all.Go(func() {
				for n, err := range db.DeleteExpired(t.Context(), refreshtoken.Table, now) {
					if err != nil || n > 50 {
						t.Errorf("%d rows at once, %v", n, err)
					}
					removed.Add(n)
				}
			})
		}
		all.Wait()
		left, err := instances[1].CountRows(t.Context(), refreshtoken.Table)
		if err != nil || removed.Load() != expired || left != active {
			t.Errorf("%d removed and %d left, %v, want %d and %d", removed.Load(), left, err, expired, active)
		}
	})
}

// An instance spends a twentieth of the time on deletion.
func TestDeleteExpired_pausesBetweenBatches(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		now := time.Now().UTC().Truncate(time.Second)
		sessions(t, db, now, 250, 0)
		ctx, spent := dbtest.CountStatements(t.Context())
		begun, batches := time.Now(), 0
		for n, err := range db.DeleteExpired(ctx, refreshtoken.Table, now) {
			if err != nil || n != 50 {
				t.Fatalf("%d rows, %v", n, err)
			}
			if batches++; batches < 5 {
				continue
			}
			// There is no pause after the last batch yet.
			statements, took := spent()
			if rested := time.Since(begun) - took; statements != 5 || rested < 10*took {
				t.Errorf("%d statements took %s, with pauses of %s", statements, took, rested)
			}
		}
		if batches != 5 {
			t.Errorf("%d batches", batches)
		}
	})
}

func TestDeleteExpired_endsWhenContextIsDone(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		now := time.Now().UTC().Truncate(time.Second)
		sessions(t, db, now, 190, 0)
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		var ends []error
		for _, err := range db.DeleteExpired(ctx, refreshtoken.Table, now) {
			stop()
			ends = append(ends, err)
		}
		if len(ends) != 2 || ends[0] != nil || !errors.Is(ends[1], context.Canceled) {
			t.Errorf("did not end: %v", ends)
		}
		for limit, want := range map[int]int64{100: 100, 10_000: 140} {
			if left, err := db.CountExpired(t.Context(), refreshtoken.Table, now, limit); left != want || err != nil {
				t.Errorf("%d are left of at most %d, %v", left, limit, err)
			}
		}
	})
}

// A batch starts in the index where the last one ended: the beginning of the index has the dead
// tuples of earlier batches.
func TestDeleteExpired_readsByTheIndex(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		now := time.Now().UTC().Truncate(time.Second)
		sessions(t, db, now, 2000, 500)
		if _, err := db.Client.ExecContext(t.Context(), "ANALYZE"); err != nil {
			t.Fatal(err)
		}
		bounded := regexp.MustCompile(`expires_at >= .*expires_at < `)
		if db.Dialect() == dialect.SQLite {
			bounded = regexp.MustCompile(`expires_at>\? AND expires_at<\?`)
		}
		query, args := database.DeleteExpiredStatement(db, refreshtoken.Table, now)
		plan := dbtest.Plan(t, db, query, args...)
		if !bounded.MatchString(plan) || regexp.MustCompile(`Seq Scan|SCAN |Sort`).MatchString(plan) {
			t.Error(plan)
		}
	})
}

// The deletion of an expired session records no change; the deletion of an active one does.
func TestDeleteExpired_expiredSessionsRecordNoChange(t *testing.T) {
	t.Parallel()
	opts := dbtest.Postgres(t)
	db, other := dbtest.Open(t, opts), dbtest.Open(t, opts)
	now := time.Now().UTC().Truncate(time.Second)
	sessions(t, db, now, 120, 0)
	memory := cache.New(16 << 20)
	ctx, stop := context.WithCancel(principal.System(t.Context(), "test"))
	var following sync.WaitGroup
	following.Go(func() { other.FollowChanges(ctx, memory, slog.New(slog.DiscardHandler)) })
	defer following.Wait()
	defer stop()
	caughtUp := func() uint64 {
		for asked := time.Now(); memory.Behind() > time.Since(asked); time.Sleep(time.Millisecond) {
			if time.Since(asked) > time.Minute {
				t.Fatal("the change log is not read")
			}
		}
		return memory.Changes()
	}
	before := caughtUp()
	for _, err := range db.DeleteExpired(t.Context(), refreshtoken.Table, now) {
		if err != nil {
			t.Fatal(err)
		}
	}
	if changes := caughtUp() - before; changes != 0 {
		t.Errorf("%d changes were recorded", changes)
	}
	owner := db.Client.User.Query().FirstX(ctx)
	active := db.Client.RefreshToken.Create().SetTenantID(owner.TenantID).SetUserID(owner.ID).
		SetExpiresAt(now.Add(time.Hour)).SaveX(ctx)
	db.Client.RefreshToken.DeleteOne(active).ExecX(ctx)
	if changes := caughtUp() - before; changes != 1 {
		t.Errorf("%d changes were recorded", changes)
	}
}

// sessions creates sessions in two tenants: some that expired before now, a microsecond apart, and
// some that expire at now, which is not deleted yet.
func sessions(t *testing.T, db *database.DB, now time.Time, expired, active int) {
	t.Helper()
	ctx := principal.System(t.Context(), "test")
	var owners []*ent.User
	for _, slug := range []string{"one", "two"} {
		tenant := db.Client.Tenant.Create().SetSlug(slug).SetName(slug).SaveX(ctx)
		owners = append(owners, db.Client.User.Create().SetTenantID(tenant.ID).SetEmail(slug+"@acme.test").SaveX(ctx))
	}
	var rows []*ent.RefreshTokenCreate
	for i := range expired + active {
		owner := owners[i%2]
		rows = append(rows, db.Client.RefreshToken.Create().SetTenantID(owner.TenantID).SetUserID(owner.ID).
			SetExpiresAt(now.Add(min(0, time.Duration(i-expired)*time.Microsecond))))
	}
	for some := range slices.Chunk(rows, 500) {
		db.Client.RefreshToken.CreateBulk(some...).ExecX(ctx)
	}
}
