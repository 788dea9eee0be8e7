package ratelimit

import (
	"errors"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"entgo.io/ent/dialect"

	"tenantry/ent"
	"tenantry/internal/database"
	"tenantry/internal/database/dbtest"
	"tenantry/internal/principal"
)

// Counting goes through indexes in a database of 100,000 counters, on the planner's own word.
func TestHot_statements_use_indexes(t *testing.T) {
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
			err := run()
			statements := hot.Statements()
			if !errors.Is(err, dbtest.ErrRecorded) || len(statements) != 1 {
				t.Fatalf("%s: %v, %v", name, statements, err)
			}
			plan := dbtest.Plan(t, db, statements[0].Query, statements[0].Args...)
			if sequential.MatchString(intermediate.ReplaceAllString(plan, "")) {
				t.Errorf("%s reads a whole table:\n%s\n%s", name, statements[0].Query, plan)
			}
		}
	})
}

// sequential is a plan that reads a table without an index, in the words of either database.
var sequential = regexp.MustCompile(`Seq Scan|SCAN `)

// intermediate is how SQLite reads the results of a part of a statement.
var intermediate = regexp.MustCompile(`SCAN (counted|settled|CONSTANT ROW)(\n|$)`)

// fill makes 100,000 counters on Postgres, in plain SQL.
func fill(t *testing.T, db *database.DB) {
	t.Helper()
	series, counters := "generate_series(:first, :last) AS s(n)", 100_000
	if db.Dialect() == dialect.SQLite {
		series = "(WITH RECURSIVE s(n) AS (SELECT :first UNION ALL SELECT n + 1 FROM s WHERE n < :last) SELECT n FROM s)"
		counters = 2_000 // its planner goes by the statistics' shape, and the race detector makes it slow
	}
	query := "INSERT INTO throttles (id, excess, blocked_until, expires_at) SELECT 'counter-' || n, 0, 0, n FROM " + series
	// In parts, each of which a busy machine does before the deadline of statements.
	for first := 0; first < counters; first += 1_000 {
		part := strings.NewReplacer(":first", strconv.Itoa(first), ":last", strconv.Itoa(first+999)).Replace(query)
		if _, err := db.Client.ExecContext(t.Context(), part); err != nil {
			t.Fatalf("%s: %v", part, err)
		}
	}
	if _, err := db.Client.ExecContext(t.Context(), "ANALYZE"); err != nil {
		t.Fatal(err)
	}
}
