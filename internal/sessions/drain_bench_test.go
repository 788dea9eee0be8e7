package sessions_test

import (
	"context"
	"database/sql"
	"fmt"
	"net/http"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"tenantry/ent/refreshtoken"
	"tenantry/internal/apitest"
	"tenantry/internal/config"
	"tenantry/internal/database/dbtest"
)

const (
	drainRounds = 20
	// drainGrowth is how much slower the slowest hundredth of sign-ins may be while expired rows
	// are removed.
	drainGrowth = 1.1
)

// BenchmarkSignInWhileDraining compares sign-in on Postgres with and without the removal of expired
// sessions, of which there are a million, in turns and in one run. It prints how long a batch takes
// from the first to the last: rows that are deleted already must not make it longer.
func BenchmarkSignInWhileDraining(b *testing.B) {
	expired, perRound := 20_000, 20
	if *apitest.Long {
		expired, perRound = 1_000_000, 200
	}
	opts := dbtest.Postgres(b)
	// The clock of the server's own job is in the past, when no row had expired: only the benchmark
	// deletes rows.
	s := apitest.StartAt(b, opts, func() time.Time {
		return time.Now().UTC().Add(-48 * time.Hour)
	}, func(c *config.Config) { c.ServerTiming = false })
	s.Logs.Redirect(apitest.LogFile(b))
	owner := s.Owner()
	expireSessions(b, opts.URL, owner.TenantID, owner.ID, expired)
	for b.Loop() {
		var quiet, busy []time.Duration
		d := drain{Instance: s}
		for round := range drainRounds {
			if round%2 == 0 {
				quiet = append(quiet, timeOwnerSignIns(s, perRound)...)
			}
			stop := d.begin()
			busy = append(busy, timeOwnerSignIns(s, perRound)...)
			stop()
			if round%2 == 1 {
				quiet = append(quiet, timeOwnerSignIns(s, perRound)...)
			}
		}
		ratio := float64(at(busy, .99)) / float64(at(quiet, .99))
		fmt.Fprintf(os.Stdout, "%s: %d sign-ins each; p50 %s, p99 %s; while expired rows are removed p50 %s, p99 %s: "+
			"%.3f times\n", b.Name(), len(quiet),
			at(quiet, .5), at(quiet, .99), at(busy, .5), at(busy, .99), ratio)
		fmt.Fprintf(os.Stdout, "  %d of %d rows removed in %s; a batch took", d.rows, expired,
			d.took.Round(time.Millisecond))
		for tenth := range slices.Chunk(d.batches, max(1, (len(d.batches)+9)/10)) {
			fmt.Fprintf(os.Stdout, " %s", at(tenth, .5).Round(10*time.Microsecond))
		}
		fmt.Fprintln(os.Stdout)
		b.ReportMetric(ratio, "p99-ratio")
		b.ReportMetric(float64(at(quiet, .99).Microseconds())/1000, "quiet-p99-ms")
		b.ReportMetric(float64(at(busy, .99).Microseconds())/1000, "draining-p99-ms")
		b.ReportMetric(float64(d.rows)/d.took.Seconds(), "rows/s")
		if *apitest.Long && ratio > drainGrowth {
			b.Errorf("the p99 of sign-ins is %.3f times that without the removal, more than %.1f", ratio, drainGrowth)
		}
	}
	b.ReportMetric(0, "ns/op")
}

// drain deletes expired sessions in several runs.
type drain struct {
	*apitest.Instance
	rows    int64
	took    time.Duration
	batches []time.Duration
}

// begin deletes rows until stop is called.
func (d *drain) begin() (stop func()) {
	ctx, cancel := context.WithCancel(d.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		ctx, spent := dbtest.CountStatements(ctx)
		begun, before := time.Now(), time.Duration(0)
		for n, err := range d.DB.DeleteExpired(ctx, refreshtoken.Table, time.Now()) {
			if err != nil && ctx.Err() == nil {
				d.Error(err)
			}
			if n == 0 {
				continue
			}
			d.rows += n
			_, after := spent()
			d.batches, before = append(d.batches, after-before), after
		}
		d.took += time.Since(begun)
	}()
	return func() { cancel(); <-ended }
}

// timeOwnerSignIns returns the durations of n sign-ins, one after another.
func timeOwnerSignIns(s *apitest.Instance, n int) (took []time.Duration) {
	for range n {
		begun := time.Now()
		s.Expect(http.StatusOK, s.Call("POST", "/api/v1/auth/login", "",
			apitest.Credentials(apitest.OwnerEmail, apitest.OwnerPassword)))
		took = append(took, time.Since(begun))
	}
	return took
}

// expireSessions inserts expired sessions of a user without triggers and foreign keys, which would
// take longer than the rows.
func expireSessions(b *testing.B, url string, tenant, user uuid.UUID, n int) {
	b.Helper()
	db, err := sql.Open("postgres", url)
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	for _, query := range []string{
		"SET session_replication_role = replica",
		fmt.Sprintf(`INSERT INTO refresh_tokens (id, created_at, updated_at, rotated_at, expires_at,
				user_agent, ip, tenant_id, user_id)
			SELECT gen_random_uuid(), now(), now(), now(), now() - interval '1 hour' - random() * interval '1 hour',
				'Mozilla/5.0', '192.0.2.1', '%s', '%s'
			FROM generate_series(1, %d)`, tenant, user, n),
		"VACUUM ANALYZE refresh_tokens",
		"CHECKPOINT",
	} {
		if _, err := db.ExecContext(b.Context(), query); err != nil {
			b.Fatalf("%s: %v", query, err)
		}
	}
}

func at(sample []time.Duration, q float64) time.Duration {
	sorted := slices.Sorted(slices.Values(sample))
	return sorted[int(q*float64(len(sorted)-1))]
}
