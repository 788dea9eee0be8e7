package sessions

import (
	"fmt"
	"regexp"
	"testing"
	"time"

	"entgo.io/ent/dialect"
	"github.com/google/uuid"

	"tenantry/ent"
	"tenantry/ent/refreshtoken"
	"tenantry/internal/database"
	"tenantry/internal/database/dbtest"
	"tenantry/internal/principal"
)

// Sign-in, refresh and the projection go through indexes in a database of 100,000 users, on the
// planner's own word.
func TestStatements_ofEachRequestUseIndexes(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		fill(t, db)
		hot := dbtest.NewRecorder(db.Dialect())
		client := ent.NewClient(ent.Driver(hot))
		ctx := principal.System(t.Context(), "test")
		id, now := uuid.New(), time.Now().UTC()
		for name, run := range map[string]func() error{
			"sign-in": func() error {
				_, err := loadProjection(ctx, client, byCredentials("tenant-7", "user-7@example.test"))
				return err
			},
			"projection": func() error {
				tenant := principal.NewContext(ctx, &principal.Principal{TenantID: id})
				_, err := loadProjection(tenant, client, bySession(id, now))
				return err
			},
			"projections": func() error {
				_, err := loadProjections(ctx, client, []uuid.UUID{id, uuid.New()}, now)
				return err
			},
			"refresh": func() error {
				a := &Sessions{client: client, opts: Options{Clock: func() time.Time { return now }}}
				_, _, err := a.rotate(ctx, refreshToken{session: id}, time.Hour)
				return err
			},
			"revoke": func() error {
				a := &Sessions{client: client}
				_, err := a.revoke(ctx, "logout", refreshtoken.ID(id))
				return err
			},
			"start a session": func() error {
				a := limited(client, 100)
				_, _, err := a.insertSession(ctx, client, &Projection{User: &ent.User{ID: id, TenantID: uuid.New()}},
					Authentication{})
				return err
			},
			"mark revoked sessions": func() error {
				_, err := mark(ctx, client, refreshtoken.RevokedReasonLogout, refreshtoken.UserID(id), unmarked)
				return err
			},
			"mark sessions of a removed provider": func() error {
				_, err := mark(ctx, client, refreshtoken.RevokedReasonProviderRemoved, refreshtoken.IDIn(id),
					unmarkedOfProvider)
				return err
			},
			"page of the marker": func() error {
				m := RevokedMarker{sessions: &Sessions{client: client}, after: id}
				_, err := m.page(ctx)
				return err
			},
			"delete sessions of a user":   func() error { return DeleteOfUser(ctx, client, id) },
			"delete sessions of a tenant": func() error { return DeleteOfTenant(ctx, client, id) },
		} {
			dbtest.CheckIndexes(t, db, hot, name, run, intermediate)
		}
	})
}

// intermediate is how SQLite reads the results of a part of a statement.
var intermediate = regexp.MustCompile(`SCAN (beyond|counted|CONSTANT ROW)(\n|$)`)

// fill makes 1,000 tenants, and on Postgres 100,000 users with a role and a session each, in plain
// SQL.
func fill(t *testing.T, db *database.DB) {
	t.Helper()
	id := func(kind int, n string) string { // a UUID of a kind and a number
		if db.Dialect() == dialect.SQLite {
			return fmt.Sprintf("printf('%08d-0000-7000-8000-%%012d', %s)", kind, n)
		}
		return fmt.Sprintf("('%08d-0000-7000-8000-' || lpad((%s)::text, 12, '0'))::uuid", kind, n)
	}
	series, now, later := "generate_series(:first, :last) AS s(n)", "now()", "now() + interval '1 day'"
	if db.Dialect() == dialect.SQLite {
		series, now, later = "(WITH RECURSIVE s(n) AS (SELECT :first UNION ALL SELECT n + 1 FROM s WHERE n < :last) "+
			"SELECT n FROM s)",
			"'2026-01-01 00:00:00+00:00'", "'2036-01-01 00:00:00+00:00'"
	}
	users := 100_000
	if db.Dialect() == dialect.SQLite {
		users = 2_000 // its planner goes by the statistics' shape, and the race detector makes it slow
	}
	tenant := id(1, "n % 1000")
	for i, query := range []string{
		"INSERT INTO tenants (id, created_at, updated_at, slug, name, settings) SELECT " + id(1, "n") + ", " + now +
			", " + now + ", 'tenant-' || n, 'Tenant', '{}' FROM " + series,
		"INSERT INTO roles (id, created_at, updated_at, name, permissions, tenant_id) SELECT " + id(2, "n") + ", " +
			now + ", " + now + ", 'member', '[]', " + id(1, "n") + " FROM " + series,
		"INSERT INTO oauth_providers (id, created_at, updated_at, name, kind, label, client_id, scopes, tenant_id) " +
			"SELECT " + id(5, "n") + ", " + now + ", " + now + ", 'corporate', 'oidc', 'x', 'x', '[]', " + id(1, "n") +
			" FROM " + series,
		"INSERT INTO users (id, created_at, updated_at, email, tenant_id) SELECT " + id(3, "n") + ", " + now + ", " +
			now + ", 'user-' || n || '@example.test', " + tenant + " FROM " + series,
		"INSERT INTO user_roles (created_at, updated_at, tenant_id, user_id, role_id) SELECT " + now + ", " + now +
			", " + tenant + ", " + id(3, "n") + ", " + id(2, "n % 1000") + " FROM " + series,
		"INSERT INTO refresh_tokens (id, created_at, updated_at, rotated_at, expires_at, tenant_id, user_id) SELECT " +
			id(4, "n") + ", " + now + ", " + now + ", " + now + ", " + later + ", " + tenant + ", " + id(3, "n") +
			" FROM " + series,
	} {
		rows := users
		if i < 3 {
			rows = 1_000
		}
		dbtest.Fill(t, db, query, rows)
	}
}
