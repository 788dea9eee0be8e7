package server_test

import (
	"context"
	"database/sql"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"tenantry/internal/database"
	"tenantry/internal/database/dbtest"
	"tenantry/internal/demo"
	"tenantry/internal/principal"
)

// However many users there are, no operation reads the table of users from end to end: Postgres keeps count of it. A fifth of
// them are of one tenant, in which all of this happens.
func TestNo_operation_scans_the_users(t *testing.T) {
	t.Parallel()
	opts, size := dbtest.Postgres(t), demo.Options{Tenants: 300, Users: 30_000, Now: time.Now()}
	if *long {
		size.Tenants, size.Users = 10_000, 1_000_000
	}
	watch := dbtest.Open(t, opts)
	s := start(t, opts)
	made, err := demo.Fill(t.Context(), s.db, size)
	if err != nil {
		t.Fatal(err)
	}
	root := s.join(made.Largest, "root@acme.test", "owner")
	s.db.Client.User.UpdateOne(root.User).SetIsSuperuser(true).ExecX(principal.System(t.Context(), "test"))
	other := s.signIn("acme", s.owner())
	before := scans(t, watch)

	_, page, _ := s.list(root.access, "limit=10")
	for _, query := range []string{
		"", "limit=100&cursor=" + url.QueryEscape(*page.NextCursor), "is_active=false", "is_active=true", "email=" + made.Owner,
		"q=ada", "q=ada+l", "q=Zo%C3%AB", "q=nobody", "role=member", "role=admin", "role=owner", "role=nobody", "include=roles", "total=exact",
		"total=exact&is_active=false", "total=exact&q=ada&role=member",
	} {
		s.expect(http.StatusOK, s.call("GET", "/api/v1/users?"+query, root.access, nil))
		if after := scans(t, watch); after != before {
			t.Errorf("%d scans of the table of users for %s", after-before, query)
			before = after
		}
	}
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
			root = s.signIn(made.Largest, root.User)
		}
	}
	s.expect(http.StatusNoContent, s.call("DELETE", "/api/v1/tenants/"+root.TenantID.String(), other.access, nil))
	// What a backend has counted is there for certain when it has gone.
	if err := s.db.Close(); err != nil {
		t.Fatal(err)
	}
	if after := scans(t, watch); after != before {
		t.Errorf("%d scans of the table of users by other operations", after-before)
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
