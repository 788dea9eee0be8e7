package ratelimit

import (
	"regexp"
	"testing"

	"entgo.io/ent/dialect"

	"tenantry/ent"
	"tenantry/internal/database"
	"tenantry/internal/database/dbtest"
	"tenantry/internal/principal"
)

// In a database with 100,000 counters, the plans of the counting statements use indexes only.
func TestStatements_useIndexes(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		fill(t, db)
		hot := dbtest.NewRecorder(db.Dialect())
		client := ent.NewClient(ent.Driver(hot))
		ctx := principal.System(t.Context(), "test")
		for name, run := range map[string]func() error{
			"count an attempt": func() error {
				_, err := testLimiter(client).SpendSignIn(ctx, "192.0.2.1", "account")
				return err
			},
			"settle an attempt": func() error {
				try := &Attempt{limiter: testLimiter(client), counted: []string{""}}
				return try.settle(ctx, true)
			},
		} {
			dbtest.CheckIndexes(t, db, hot, name, run, intermediate)
		}
	})
}

// intermediate matches the scan of an intermediate result in a plan of SQLite.
var intermediate = regexp.MustCompile(`SCAN (counted|settled|CONSTANT ROW)(\n|$)`)

// fill creates 100,000 counters on Postgres, in SQL.
func fill(t *testing.T, db *database.DB) {
	t.Helper()
	series, counters := "generate_series(:first, :last) AS s(n)", 100_000
	if db.Dialect() == dialect.SQLite {
		series = "(WITH RECURSIVE s(n) AS (SELECT :first UNION ALL SELECT n + 1 FROM s WHERE n < :last) SELECT n " +
			"FROM s)"
		counters = 2_000 // its planner goes by the statistics' shape, and the race detector makes it slow
	}
	query := "INSERT INTO throttles (id, excess, blocked_until, expires_at) SELECT 'counter-' || n, 0, 0, n FROM " +
		series
	dbtest.Fill(t, db, query, counters)
}
