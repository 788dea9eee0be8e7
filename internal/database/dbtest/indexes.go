package dbtest

import (
	"errors"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"tenantry/internal/database"
)

// sequential matches a plan that reads a table without an index, on either database.
var sequential = regexp.MustCompile(`Seq Scan|SCAN `)

// CheckIndexes fails the test if the one statement that run gives to the recorder reads a whole
// table in the database. Matches of intermediate are removed from the plan first: that is how
// SQLite reports the scan of an intermediate result.
func CheckIndexes(t testing.TB, db *database.DB, recorder *Recorder, name string, run func() error,
	intermediate *regexp.Regexp) {
	t.Helper()
	err := run()
	statements := recorder.Statements()
	if !errors.Is(err, ErrRecorded) || len(statements) != 1 {
		t.Fatalf("%s: %v, %v", name, statements, err)
	}
	plan := Plan(t, db, statements[0].Query, statements[0].Args...)
	if sequential.MatchString(intermediate.ReplaceAllString(plan, "")) {
		t.Errorf("%s reads a whole table:\n%s\n%s", name, statements[0].Query, plan)
	}
}

// Fill runs an INSERT that creates the rows :first to :last, for rows 0 to the number of rows, and
// updates the statistics of the planner. It inserts them in parts, so that each ends before the
// statement deadline on a busy machine.
func Fill(t testing.TB, db *database.DB, query string, rows int) {
	t.Helper()
	for first := 0; first < rows; first += 1_000 {
		part := strings.NewReplacer(":first", strconv.Itoa(first), ":last", strconv.Itoa(first+999)).Replace(query)
		if _, err := db.Client.ExecContext(t.Context(), part); err != nil {
			t.Fatalf("%s: %v", part, err)
		}
	}
	if _, err := db.Client.ExecContext(t.Context(), "ANALYZE"); err != nil {
		t.Fatal(err)
	}
}
