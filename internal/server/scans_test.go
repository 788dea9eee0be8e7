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

	"tenantry/internal/apitest"
	"tenantry/internal/database"
	"tenantry/internal/database/dbtest"
	"tenantry/internal/demo"
	"tenantry/internal/principal"
)

// No operation scans the table of users: the statistics of Postgres count the scans. The requests
// act in a tenant with a fifth of all users.
func TestOperations_scanNoUsers(t *testing.T) {
	t.Parallel()
	opts, size := dbtest.Postgres(t), demo.Options{Tenants: 300, Users: 30_000, Now: time.Now()}
	if *apitest.Long {
		size.Tenants, size.Users = 10_000, 1_000_000
	}
	watch := dbtest.Open(t, opts)
	s := apitest.Start(t, opts)
	filled, err := demo.Fill(t.Context(), s.DB, size)
	if err != nil {
		t.Fatal(err)
	}
	root := s.CreateUser(filled.Largest, "root@acme.test", "owner")
	s.DB.Client.User.UpdateOne(root.User).SetIsSuperuser(true).ExecX(principal.System(t.Context(), "test"))
	other := s.SignIn("acme", s.Owner())
	before := scans(t, watch)

	_, page, _ := s.ListUsers(root.Access, "limit=10")
	for _, query := range []string{
		"", "limit=100&cursor=" + url.QueryEscape(*page.NextCursor), "is_active=false", "is_active=true", "email=" +
			filled.Owner,
		"q=ada", "q=ada+l", "q=Zo%C3%AB", "q=nobody", "role=member", "role=admin", "role=owner", "role=nobody",
		"include=roles", "total=exact",
		"total=exact&is_active=false", "total=exact&q=ada&role=member",
	} {
		s.Expect(http.StatusOK, s.Call("GET", "/api/v1/users?"+query, root.Access, nil))
		if after := scans(t, watch); after != before {
			t.Errorf("%d scans of the table of users for %s", after-before, query)
			before = after
		}
	}
	for _, o := range declaredOperations(t) {
		m := &malformer{Rand: rand.New(rand.NewPCG(malformedSeed, 0)), TB: t, refresh: root.Refresh}
		path := o.pattern
		if strings.Contains(path, "{") {
			for name, id := range objectOf(s, o.pattern, root, root.ID) {
				path = strings.ReplaceAll(path, name, id)
			}
		}
		var body any
		if text := m.draft(o).body; text != "" {
			body = text
		}
		if a := s.Call(o.method, path, root.Access, body); a.Status >= 500 {
			t.Errorf("%s %s: %d %s", o.method, o.pattern, a.Status, a.Body)
		}
		if s.Call("GET", "/api/v1/users/me", root.Access, nil).Status == http.StatusUnauthorized {
			root = s.SignIn(filled.Largest, root.User)
		}
	}
	s.Expect(http.StatusNoContent, s.Call("DELETE", "/api/v1/tenants/"+root.TenantID.String(), other.Access, nil))
	// A backend has reported its statistics when its connection is closed.
	if err := s.DB.Close(); err != nil {
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
	if err := db.SQL.QueryRowContext(ctx,
		"SELECT seq_scan FROM pg_stat_user_tables WHERE relname = 'users'").Scan(&counted); err != nil {
		t.Fatal(err)
	}
	return counted.Int64
}
