package server_test

import (
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"tenantry/internal/database"
	"tenantry/internal/database/dbtest"
)

// However many users there are, no operation reads the table of users from end to end: Postgres keeps count of it. A total is
// another matter: to count everybody it reads everybody.
func TestNo_operation_scans_the_users(t *testing.T) {
	t.Parallel()
	opts := dbtest.Postgres(t)
	watch := dbtest.Open(t, opts)
	s := start(t, opts)
	owner := s.join("acme", "second@acme.test", "owner")
	s.crowd(owner)
	before := scans(t, watch)

	_, page, _ := s.list(owner.access, "limit=10")
	for _, query := range []string{
		"", "limit=100&cursor=" + url.QueryEscape(*page.NextCursor), "is_active=false", "is_active=true", "email=user-77@crowd.test",
		"q=user-77", "q=person+7", "role=member", "role=owner", "role=nobody", "include=roles",
	} {
		s.expect(http.StatusOK, s.call("GET", "/api/v1/users?"+query, owner.access, nil))
	}
	root := s.signIn("acme", s.owner())
	for _, o := range declaredOperations(t) {
		m := &malformer{Rand: rand.New(rand.NewPCG(malformedSeed, 0)), TB: t, refresh: root.refresh}
		path := o.pattern
		if strings.Contains(path, "{") {
			for name, id := range s.object(o.pattern, root, root.ID) {
				path = strings.ReplaceAll(path, name, id)
			}
		}
		var body any
		if text := m.draft(o).body; text != "" {
			body = text
		}
		if a := s.call(o.method, path, root.access, body); a.status >= 500 {
			t.Errorf("%s %s: %d %s", o.method, o.pattern, a.status, a.body)
		}
		if s.call("GET", "/api/v1/users/me", root.access, nil).status == http.StatusUnauthorized {
			root = s.signIn("acme", s.owner())
		}
	}
	// What a backend has counted is there for certain when it has gone.
	if err := s.db.Close(); err != nil {
		t.Fatal(err)
	}
	if after := scans(t, watch); after != before {
		t.Errorf("%d scans of the table of users", after-before)
	}
}

// crowd adds 30,000 users to the tenant of a person, each of them a member.
func (s *instance) crowd(of person) {
	s.Helper()
	member := s.systemRole(of, "member")
	for first := 0; first < 30_000; first += 5_000 {
		for _, query := range []string{
			`INSERT INTO users (id, created_at, updated_at, email, full_name, full_name_folded, is_active, tenant_id)
			SELECT ('0a000000-0000-7000-8000-' || lpad(n::text, 12, '0'))::uuid, now(), now(), 'user-' || n || '@crowd.test', 'Person ' || n,
				'person ' || n, n %% 10 <> 0, '%[1]s' FROM generate_series(%[3]d, %[3]d + 4999) AS s(n)`,
			`INSERT INTO user_roles (created_at, updated_at, tenant_id, user_id, role_id)
			SELECT now(), now(), '%[1]s', ('0a000000-0000-7000-8000-' || lpad(n::text, 12, '0'))::uuid, '%[2]s'
			FROM generate_series(%[3]d, %[3]d + 4999) AS s(n)`,
		} {
			if _, err := s.db.Client.ExecContext(s.Context(), fmt.Sprintf(query, of.TenantID, member, first)); err != nil {
				s.Fatal(err)
			}
		}
	}
	if _, err := s.db.Client.ExecContext(s.Context(), "ANALYZE"); err != nil {
		s.Fatal(err)
	}
}

func scans(t *testing.T, db *database.DB) (n int64) {
	t.Helper()
	ctx := context.WithoutCancel(t.Context())
	var counted sql.NullInt64
	if err := db.SQL.QueryRowContext(ctx, "SELECT seq_scan FROM pg_stat_user_tables WHERE relname = 'users'").Scan(&counted); err != nil {
		t.Fatal(err)
	}
	return counted.Int64
}
