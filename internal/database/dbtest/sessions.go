package dbtest

import (
	"fmt"
	"testing"
	"time"

	"entgo.io/ent/dialect"
	"github.com/google/uuid"

	"tenantry/internal/database"
)

// GiveSessions inserts n active sessions of a user with a password_version, last refreshed a second
// apart, the latest two seconds ago, and updates the planner's statistics.
func GiveSessions(t testing.TB, db *database.DB, tenant, user uuid.UUID, version, n int) {
	t.Helper()
	id, series := "gen_random_uuid()", "generate_series($1::int, $2::int) AS s(n)"
	rotated := "now() - (n + 1) * interval '1 second'"
	if db.Dialect() == dialect.SQLite {
		id = "lower(hex(randomblob(4)) || '-' || hex(randomblob(2)) || '-7000-8000-' || hex(randomblob(6)))"
		series = "(WITH RECURSIVE s(n) AS (SELECT $1 UNION ALL SELECT n + 1 FROM s WHERE n < $2) SELECT n FROM s)"
		rotated = "strftime('%Y-%m-%d %H:%M:%f', 'now', '-' || (n + 1) || ' seconds') || '+00:00'"
	}
	statement := fmt.Sprintf(`INSERT INTO refresh_tokens
		(id, tenant_id, user_id, created_at, updated_at, rotated_at, expires_at, password_version)
		SELECT %s, $3, $4, $5, $5, %s, $6, $7 FROM %s`, id, rotated, series)
	part := 20_000 // which a busy machine inserts before the statement timeout
	if db.Dialect() == dialect.SQLite {
		part = 500
	}
	now := time.Now()
	for first := 1; first <= n; first += part {
		last := min(first+part-1, n)
		_, err := db.Client.ExecContext(t.Context(), statement, first, last, tenant, user, now, now.Add(time.Hour),
			version)
		if err != nil {
			t.Fatal(err)
		}
	}
	if _, err := db.Client.ExecContext(t.Context(), "ANALYZE refresh_tokens"); err != nil {
		t.Fatal(err)
	}
}
