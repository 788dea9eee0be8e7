package faults_test

import (
	"context"
	"database/sql"
	"net/http"
	"syscall"
	"testing"
	"time"

	"tenantry/internal/database/dbtest"
)

// outages are the signals that stop Postgres.
var outages = []syscall.Signal{syscall.SIGINT, syscall.SIGQUIT, syscall.SIGKILL}

func TestPostgres_outageIs503WithoutLoss(t *testing.T) {
	cluster := dbtest.OwnCluster(t)
	// Who refreshed when the database went may ask again when it is back, however long that takes
	// on a busy machine.
	p := serve(t, cluster.Options, "TENANTRY_REFRESH_GRACE=1m")
	openRegistration(t, p)
	book := &ledger{}
	for n := range 4 {
		expect(t, http.StatusCreated)(book.register(t.Context(), newClient(p), n))
	}
	reader, refresher := signedIn(t, p), signedIn(t, p)
	counts := &tally{}
	l := startLoad(t, counts)
	for _, w := range book.accounts[:4:4] {
		l.repeat("rename", func(ctx context.Context) (answer, error) { return book.rename(ctx, w) })
	}
	registrar, number := newClient(p), 4
	l.repeat("register", func(ctx context.Context) (answer, error) {
		number++
		return book.register(ctx, registrar, number)
	})
	l.repeat("me", reader.me)
	l.repeat("refresh", refresher.refresh)
	l.repeat("sign-in", newClient(p).signIn)

	for i := range size(1, 10) {
		enough, before := counts.count(succeeded)+200, counts.count(failed)
		within(t, 30*time.Second, "the clients are at work", func() bool { return counts.count(succeeded) > enough })
		if n := counts.count(failed) - before; n > 0 {
			t.Errorf("%d requests failed while the database was there", n)
		}
		cluster.Stop(outages[i%len(outages)])
		holdOut(t, p, counts)
		cluster.Start()
		recovered := time.Now()
		within(t, 3*time.Second, "every operation is served again", func() bool { return l.healthySince(recovered) })
		t.Logf("%s: served again after %s", outages[i%len(outages)], time.Since(recovered).Round(time.Millisecond))
	}
	l.stop()
	book.holdAgainst(t, p, 0)
	t.Logf("%d writes, of %d accounts, were acknowledged%s\nWhy requests failed:%s", book.count(), len(book.accounts),
		counts, p.causes())
}

// holdOut checks a process whose database is down: it is healthy, not ready, and responds.
func holdOut(t *testing.T, p *process, counts *tally) {
	t.Helper()
	c := newClient(p)
	enough := counts.count(failed) + 200
	within(t, 30*time.Second, "requests fail", func() bool { return counts.count(failed) > enough })
	expect(t, http.StatusOK)(c.call(t.Context(), http.MethodGet, "/healthz", nil))
	expect(t, http.StatusServiceUnavailable)(c.call(t.Context(), http.MethodGet, "/readyz", nil))
}

// A failover, an operator or a pooler may terminate backends.
func TestPostgres_terminatedBackendsFailFewRequests(t *testing.T) {
	opts := dbtest.Postgres(t)
	p := serve(t, opts)
	counts := &tally{}
	l := startLoad(t, counts)
	for range 3 {
		l.repeat("me", signedIn(t, p).me)
		l.repeat("refresh", signedIn(t, p).refresh)
	}
	visitor := newClient(p)
	l.repeat("sign-in", visitor.signIn)
	terminated := terminate(t, dbtest.Open(t, opts).SQL, size(5*time.Second, time.Minute))
	l.stop()
	bad, every := counts.count(failed), counts.count(all)
	t.Logf("%d backends were terminated, and %d of %d requests failed:%s\nWhy:%s", terminated, bad, every, counts,
		p.causes())
	if bad*100 > every {
		t.Errorf("%.1f %% of the requests failed", 100*float64(bad)/float64(every))
	}
}

// terminate ends every backend of the database but its own, again and again, and returns how many
// they were.
func terminate(t *testing.T, db *sql.DB, duration time.Duration) int {
	t.Helper()
	total := 0
	ticks := time.NewTicker(200 * time.Millisecond)
	defer ticks.Stop()
	for end := time.Now().Add(duration); time.Now().Before(end); <-ticks.C {
		var n int
		if err := db.QueryRowContext(t.Context(), `SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
			WHERE datname = current_database() AND pid <> pg_backend_pid()`).Scan(&n); err != nil {
			t.Fatal(err)
		}
		total += n
	}
	return total
}
