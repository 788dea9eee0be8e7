package database_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/lib/pq"

	"tenantry/internal/cache"
	"tenantry/internal/database"
	"tenantry/internal/database/dbtest"
	"tenantry/internal/principal"
)

// BenchmarkRevocations revokes sessions with 64 clients on one Postgres, in turns: with the
// triggers of the version before the change log, which notify, with those that insert and notify,
// and after `tenantry migrate finish`. Each side has an instance that listens or reads the change
// log. A commit that notifies holds a lock of the server while it is flushed, so the sides differ
// by how long a flush takes: it runs on the disk of this machine, and with the delay of a network
// disk.
func BenchmarkRevocations(b *testing.B) {
	b.Run("flush=disk", func(b *testing.B) { benchmarkRevocations(b, "") })
	b.Run("flush=3ms", func(b *testing.B) { benchmarkRevocations(b, "&commit_delay=3000&commit_siblings=0") })
}

func benchmarkRevocations(b *testing.B, settings string) {
	const rounds, clients, sessions = 3, 64, 6000
	sides := []string{"notify", "insert_and_notify", "insert"}
	rates := map[string][]float64{}
	databases := map[string]*database.DB{}
	for _, side := range sides {
		opts := dbtest.Postgres(b)
		opts.PoolSize, opts.MaxOverflow = clients, 0
		opts.URL += settings
		db := dbtest.Open(b, opts)
		databases[side] = db
		ctx := principal.System(b.Context(), "benchmark")
		home := db.Client.Tenant.Create().SetSlug("acme").SetName("Acme").SaveX(ctx)
		for i := range 100 {
			db.Client.User.Create().SetTenantID(home.ID).SetEmail(fmt.Sprintf("u%d@acme.test", i)).ExecX(ctx)
		}
		switch side {
		case "notify":
			m, err := database.NewMigrator(db)
			if err != nil {
				b.Fatal(err)
			}
			plan, err := m.PlanDown(ctx, "expired_sessions", "")
			if err == nil {
				err = m.Down(ctx, plan)
			}
			if err != nil || m.Close() != nil {
				b.Fatal(err)
			}
			listen(b, opts)
		case "insert_and_notify":
			db.Client.Setting.Create().SetID("change_log.notify").SetValue("true").ExecX(ctx)
			listen(b, opts)
		default:
			follow(b, db)
		}
	}
	for b.Loop() {
		for range rounds {
			for _, side := range sides {
				rates[side] = append(rates[side], revocations(b, databases[side], clients, sessions))
			}
		}
	}
	for _, side := range sides {
		b.Logf("%s: %.0f revocations/s", side, rates[side])
	}
	b.ReportMetric(mean(rates["insert"]), "revocations/s")
	b.ReportMetric(mean(rates["insert"])/mean(rates["notify"]), "of-notify")
}

// revocations returns the number of revoked sessions per second.
func revocations(b *testing.B, db *database.DB, clients, sessions int) float64 {
	b.Helper()
	ctx := principal.System(b.Context(), "benchmark")
	ids := make(chan uuid.UUID, sessions)
	rows, err := db.SQL.QueryContext(ctx, `INSERT INTO refresh_tokens
			(id, created_at, updated_at, rotated_at, expires_at, tenant_id, user_id)
		SELECT gen_random_uuid(), now(), now(), now(), now() + interval '1 hour', u.tenant_id, u.id
		FROM users AS u, generate_series(1, $1) RETURNING id`, sessions/100)
	if err != nil {
		b.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var id uuid.UUID
		if err := rows.Scan(&id); err != nil {
			b.Fatal(err)
		}
		ids <- id
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil { // releases the connection
		b.Fatal(err)
	}
	close(ids)
	revoke, err := db.SQL.PrepareContext(ctx, `UPDATE refresh_tokens
		SET updated_at = now(), revoked = true, revoked_reason = 'logout'
		WHERE id = $1 AND NOT revoked`)
	if err != nil {
		b.Fatal(err)
	}
	defer revoke.Close()
	began := time.Now()
	var all sync.WaitGroup
	for range clients {
		all.Go(func() {
			for id := range ids {
				if _, err := revoke.ExecContext(ctx, id); err != nil {
					b.Error(err)
				}
			}
		})
	}
	all.Wait()
	return float64(sessions) / time.Since(began).Seconds()
}

// listen consumes notifications until the benchmark ends, as the previous version did.
func listen(b *testing.B, opts database.Options) {
	b.Helper()
	notices := make(chan *pq.Notification, 64)
	conn, err := pq.NewListenerConn(opts.URL, notices)
	if err != nil {
		b.Fatal(err)
	}
	if _, err := conn.Listen("tenantry_changes"); err != nil {
		b.Fatal(err)
	}
	go func() {
		for range notices {
		}
	}()
	b.Cleanup(func() { _ = conn.Close() })
}

// follow reads the change log until the benchmark ends.
func follow(b *testing.B, db *database.DB) {
	b.Helper()
	ctx, stop := context.WithCancel(b.Context())
	var following sync.WaitGroup
	following.Go(func() { db.FollowChanges(ctx, cache.New(1<<20), slog.New(slog.DiscardHandler)) })
	b.Cleanup(func() { stop(); following.Wait() })
}

func mean(list []float64) (sum float64) {
	for _, v := range list {
		sum += v / float64(len(list))
	}
	return sum
}

// BenchmarkChangeLogReaders reads the change log with 100 instances, without changes and with 300
// changes a second, and reports the processor time of the readers' backends. For comparison it
// reports that of as many connections which run SELECT 1: most of the time is spent on waking a
// process.
func BenchmarkChangeLogReaders(b *testing.B) {
	const readers, changes, interval = 100, 300, 150 * time.Millisecond
	opts := dbtest.Postgres(b)
	opts.PoolSize = readers + 2
	db := dbtest.Open(b, opts)
	ctx := principal.System(b.Context(), "benchmark")
	home := db.Client.Tenant.Create().SetSlug("acme").SetName("Acme").SaveX(ctx)
	owner := db.Client.User.Create().SetTenantID(home.ID).SetEmail("ada@acme.test").SaveX(ctx)
	start := func(run func(context.Context)) (stop func()) {
		ctx, cancel := context.WithCancel(ctx)
		var running sync.WaitGroup
		for range readers {
			running.Go(func() {
				time.Sleep(rand.N(interval))
				run(ctx)
			})
		}
		return func() { cancel(); running.Wait() }
	}
	measure := func(pids []int, rate int) float64 {
		before, began := processorTime(b, pids), time.Now()
		ticks := time.NewTicker(time.Second / time.Duration(max(1, rate)))
		defer ticks.Stop()
		for time.Since(began) < 5*time.Second {
			<-ticks.C
			if rate == 0 {
				continue
			}
			if _, err := db.SQL.ExecContext(ctx,
				`INSERT INTO changes ("key", xid) VALUES ($1, pg_current_xact_id()::text::bigint)`,
				owner.ID); err != nil {
				b.Fatal(err)
			}
		}
		return (processorTime(b, pids) - before).Seconds() / time.Since(began).Seconds()
	}
	for b.Loop() {
		stop := start(func(ctx context.Context) { selectOne(b, db, interval, ctx.Done()) })
		time.Sleep(3 * time.Second) // until every reader has a connection and a plan
		one := measure(backends(b, db, "query = 'SELECT 1'"), 0)
		stop()
		stop = start(func(ctx context.Context) {
			db.FollowChanges(ctx, cache.New(1<<20), slog.New(slog.DiscardHandler))
		})
		time.Sleep(5 * time.Second)
		reading := backends(b, db, "application_name = '"+database.ChangeLogName+"'")
		idle := measure(reading, 0)
		busy := measure(reading, changes)
		stop()
		if len(reading) != readers {
			b.Fatalf("%d readers", len(reading))
		}
		b.ReportMetric(one/(readers/interval.Seconds())*1e3, "ms-per-select-1")
		b.ReportMetric(idle/(readers/interval.Seconds())*1e3, "ms-per-idle-read")
		b.ReportMetric(idle*100, "idle-percent-of-a-core")
		b.ReportMetric(busy*100, "busy-percent-of-a-core")
	}
}

// selectOne runs SELECT 1 on a separate connection at an interval until done is closed.
func selectOne(b *testing.B, db *database.DB, interval time.Duration, done <-chan struct{}) {
	conn, err := db.SQL.Conn(b.Context())
	if err != nil {
		b.Error(err)
		return
	}
	defer conn.Close()
	ticks := time.NewTicker(interval)
	defer ticks.Stop()
	for {
		select {
		case <-done:
			return
		case <-ticks.C:
		}
		if _, err := conn.ExecContext(b.Context(), "SELECT 1"); err != nil {
			b.Error(err)
		}
	}
}

// backends returns the process IDs of the connections to the database that meet a condition on
// pg_stat_activity.
func backends(b *testing.B, db *database.DB, condition string) (pids []int) {
	b.Helper()
	rows, err := db.SQL.QueryContext(b.Context(),
		"SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND "+condition)
	if err != nil {
		b.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var pid int
		if err := rows.Scan(&pid); err != nil {
			b.Fatal(err)
		}
		pids = append(pids, pid)
	}
	if err := rows.Err(); err != nil {
		b.Fatal(err)
	}
	return pids
}
