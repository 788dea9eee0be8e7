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

// Two instances that clean up at once remove what has expired in every tenant, each row once, and
// nothing else.
func TestExpired_rows_go_in_batches_and_once(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		const dead, alive = 1203, 40
		instances := []*database.DB{dbtest.Open(t, opts), dbtest.Open(t, opts)}
		now := time.Now().UTC().Truncate(time.Second)
		sessions(t, instances[0], now, dead, alive)
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
		if err != nil || removed.Load() != dead || left != alive {
			t.Errorf("%d removed and %d left, %v, want %d and %d", removed.Load(), left, err, dead, alive)
		}
	})
}

// An instance deletes for a twentieth of the time and rests for the others.
func TestExpired_rows_leave_the_database_time_for_others(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		now := time.Now().UTC().Truncate(time.Second)
		sessions(t, db, now, 250, 0)
		ctx, spent := database.CountStatements(t.Context())
		begun, batches := time.Now(), 0
		for n, err := range db.DeleteExpired(ctx, refreshtoken.Table, now) {
			if err != nil || n != 50 {
				t.Fatalf("%d rows, %v", n, err)
			}
			if batches++; batches < 5 {
				continue
			}
			// The last batch has no rest yet.
			statements, took := spent()
			if rested := time.Since(begun) - took; statements != 5 || rested < 10*took {
				t.Errorf("%d statements took %s, with a rest of %s", statements, took, rested)
			}
		}
		if batches != 5 {
			t.Errorf("%d batches", batches)
		}
	})
}

func TestExpired_rows_are_left_by_who_is_told_to_stop(t *testing.T) {
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
			t.Errorf("it went on: %v", ends)
		}
		for limit, want := range map[int]int64{100: 100, 10_000: 140} {
			if left, err := db.CountExpired(t.Context(), refreshtoken.Table, now, limit); left != want || err != nil {
				t.Errorf("%d are left of at most %d, %v", left, limit, err)
			}
		}
	})
}

// A batch is found by the index, from where the last has ended: not from the beginning, where
// Postgres keeps what is dead.
func TestExpired_rows_are_found_by_the_index(t *testing.T) {
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

// Nobody is told of a session that is over by itself, however many there are, and everybody of one
// that was not.
func TestExpired_sessions_are_no_news(t *testing.T) {
	t.Parallel()
	opts := dbtest.Postgres(t)
	db, other := dbtest.Open(t, opts), dbtest.Open(t, opts)
	now := time.Now().UTC().Truncate(time.Second)
	sessions(t, db, now, 120, 0)
	memory := cache.New(16 << 20)
	hearing, stop := context.WithCancel(t.Context())
	var listener sync.WaitGroup
	listener.Go(func() { other.FollowChanges(hearing, memory, slog.New(slog.DiscardHandler)) })
	defer listener.Wait()
	defer stop()
	caughtUp := func() uint64 {
		for asked := time.Now(); memory.Behind() > time.Since(asked); time.Sleep(time.Millisecond) {
			if time.Since(asked) > time.Minute {
				t.Fatal("changes are not heard")
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
	if heard := caughtUp() - before; heard != 0 {
		t.Errorf("%d changes were heard", heard)
	}
	ctx := principal.System(t.Context(), "test")
	owner := db.Client.User.Query().FirstX(ctx)
	live := db.Client.RefreshToken.Create().SetTenantID(owner.TenantID).SetUserID(owner.ID).
		SetExpiresAt(now.Add(time.Hour)).SaveX(ctx)
	db.Client.RefreshToken.DeleteOne(live).ExecX(ctx)
	if heard := caughtUp() - before; heard != 1 {
		t.Errorf("%d changes were heard", heard)
	}
}

// sessions makes sessions in two tenants: dead ones that were over just before now, one after the
// other, and others that are over now.
func sessions(t *testing.T, db *database.DB, now time.Time, dead, alive int) {
	t.Helper()
	ctx := principal.System(t.Context(), "test")
	var owners []*ent.User
	for _, slug := range []string{"one", "two"} {
		home := db.Client.Tenant.Create().SetSlug(slug).SetName(slug).SaveX(ctx)
		owners = append(owners, db.Client.User.Create().SetTenantID(home.ID).SetEmail(slug+"@acme.test").SaveX(ctx))
	}
	var rows []*ent.RefreshTokenCreate
	for i := range dead + alive {
		owner := owners[i%2]
		rows = append(rows, db.Client.RefreshToken.Create().SetTenantID(owner.TenantID).SetUserID(owner.ID).
			SetExpiresAt(now.Add(min(0, time.Duration(i-dead)*time.Microsecond))))
	}
	for some := range slices.Chunk(rows, 500) {
		db.Client.RefreshToken.CreateBulk(some...).ExecX(ctx)
	}
}
