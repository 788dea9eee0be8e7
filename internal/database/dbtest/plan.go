package dbtest

import (
	"strings"
	"testing"

	"entgo.io/ent/dialect"

	"tenantry/internal/database"
)

// Plan returns the database's EXPLAIN output for a statement.
func Plan(t testing.TB, db *database.DB, query string, args ...any) string {
	t.Helper()
	explain := "EXPLAIN "
	if db.Dialect() == dialect.SQLite {
		explain = "EXPLAIN QUERY PLAN "
	}
	rows, err := db.SQL.QueryContext(t.Context(), explain+query, args...)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		t.Fatal(err)
	}
	var plan strings.Builder
	for rows.Next() {
		var line string
		into := make([]any, len(columns))
		for i := range into {
			into[i] = new(any)
		}
		into[len(into)-1] = &line
		if err := rows.Scan(into...); err != nil {
			t.Fatal(err)
		}
		plan.WriteString(line + "\n")
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return plan.String()
}
