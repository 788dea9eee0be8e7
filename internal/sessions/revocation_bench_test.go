package sessions_test

import (
	"context"
	"database/sql"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"tenantry/internal/apitest"
	"tenantry/internal/database/dbtest"
	"tenantry/internal/principal"
)

// BenchmarkTimeToRevocation reports how long two other instances accept an access token after a
// sign-out: by each topology, idle, under load, and beside a transaction as old as that of a
// backup.
func BenchmarkTimeToRevocation(b *testing.B) {
	const rounds = 60
	for _, of := range topologies {
		b.Run(of.name, func(b *testing.B) {
			opts := dbtest.Postgres(b)
			all := of.fleet(b, opts, 3)
			direct := dbtest.Open(b, opts)
			for _, s := range all {
				s.Logs.Redirect(apitest.LogFile(b))
			}
			measure := func(name string) {
				var took []time.Duration
				for range rounds {
					took = append(took, signOut(b, all))
				}
				slices.Sort(took)
				b.ReportMetric(float64(took[rounds/2].Milliseconds()), "p50-ms-"+name)
				b.ReportMetric(float64(took[rounds*99/100].Milliseconds()), "p99-ms-"+name)
			}
			for b.Loop() {
				measure("idle")
				end := underLoad(b, all)
				measure("load")
				end()
				old, err := direct.SQL.BeginTx(b.Context(),
					&sql.TxOptions{Isolation: sql.LevelRepeatableRead}) // as pg_dump does
				if err != nil {
					b.Fatal(err)
				}
				if _, err := old.ExecContext(b.Context(),
					"SELECT pg_current_xact_id(), count(*) FROM changes"); err != nil {
					b.Fatal(err)
				}
				if _, err := direct.Client.ExecContext(principal.System(b.Context(), "benchmark"),
					`INSERT INTO changes ("key", xid) 
						SELECT gen_random_uuid(), pg_current_xact_id()::text::bigint
						FROM generate_series(1, 100000)`); err != nil {
					b.Fatal(err)
				}
				measure("old-transaction")
				if err := old.Rollback(); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(0, "ns/op")
		})
	}
}

// underLoad has clients of every instance read and change users until the returned function is
// called: 200 requests a second.
func underLoad(b *testing.B, all []*apitest.Instance) (end func()) {
	b.Helper()
	ctx, stop := context.WithCancel(b.Context())
	var clients sync.WaitGroup
	for _, s := range all {
		access, refresh := s.Login()
		clients.Go(func() {
			ticks := time.NewTicker(15 * time.Millisecond)
			defer ticks.Stop()
			for n := 0; ; n++ {
				select {
				case <-ctx.Done():
					return
				case <-ticks.C:
				}
				switch n % 10 {
				case 0:
					s.Call("PATCH", apitest.MePath, access, map[string]any{"full_name": "Ada"})
				case 1:
					refresh = s.Expect(http.StatusOK, s.Refresh(refresh)).Field(s, "refresh_token")
				default:
					s.Call("GET", apitest.MePath, access, nil)
				}
			}
		})
	}
	return func() { stop(); clients.Wait() }
}
