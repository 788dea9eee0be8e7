package database

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"net/url"
	"os"
	"slices"
	"testing"
	"time"
)

// unobserved opens connections of lib/pq without the connector.
type unobserved struct{ *connector }

func (c unobserved) Connect(ctx context.Context) (driver.Conn, error) { return c.hosts[0].Connect(ctx) }

// BenchmarkObservedSelect runs one prepared SELECT in turns on a connection that the connector
// observes and on one of lib/pq alone, and reports the ratio of their medians.
func BenchmarkObservedSelect(b *testing.B) {
	dsn, err := url.Parse(os.Getenv("TENANTRY_TEST_POSTGRES_URL"))
	if err != nil || dsn.Host == "" {
		b.Skip("no Postgres: run it through internal/tools/withpostgres")
	}
	c, err := newConnector(dsn, func(url.Values) {}, answerTimeout, true)
	if err != nil {
		b.Fatal(err)
	}
	connectors := []driver.Connector{c, unobserved{c}}
	statements, took := make([]*sql.Stmt, len(connectors)), make([][]time.Duration, len(connectors))
	for i, connector := range connectors {
		db := sql.OpenDB(connector)
		defer db.Close()
		db.SetMaxOpenConns(1)
		prepared, err := db.PrepareContext(b.Context(), "SELECT $1::int")
		if err != nil {
			b.Fatal(err)
		}
		defer prepared.Close()
		statements[i] = prepared
	}
	for turn := 0; b.Loop(); turn++ {
		for n := range connectors {
			i := (turn + n) % len(connectors) // alternate which one runs first
			begun, answer := time.Now(), 0
			if err := statements[i].QueryRowContext(context.Background(), 1).Scan(&answer); err != nil {
				b.Fatal(err)
			}
			took[i] = append(took[i], time.Since(begun))
		}
	}
	median := func(d []time.Duration) float64 { slices.Sort(d); return float64(d[len(d)/2]) }
	b.ReportMetric(median(took[0])/median(took[1]), "ratio")
	b.ReportMetric(median(took[0]), "observed-ns")
}
