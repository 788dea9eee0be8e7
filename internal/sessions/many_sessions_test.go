package sessions_test

import (
	"database/sql"
	"net/http"
	"net/url"
	"testing"

	"github.com/google/uuid"

	"tenantry/ent"
	"tenantry/ent/refreshtoken"
	"tenantry/internal/apitest"
	"tenantry/internal/config"
	"tenantry/internal/database"
	"tenantry/internal/database/dbtest"
	"tenantry/internal/principal"
)

const (
	// manySessions are too many for one statement of Postgres: it would exceed the statement
	// timeout.
	manySessions = 100_000
	// maxMarked is slightly more than the number of session rows that a request may mark.
	maxMarked = 1000
)

// signOuts are the operations that revoke all sessions of a user, or all except the caller's.
var signOuts = []struct {
	name string
	do   func(s *apitest.Instance, root string, of apitest.Account)
}{
	{"deactivation", func(s *apitest.Instance, root string, of apitest.Account) {
		inactive := map[string]any{"is_active": false}
		s.Expect(http.StatusOK, s.Call("PATCH", "/api/v1/users/"+of.ID.String(), root, inactive))
	}},
	{"sign_out_everywhere", func(s *apitest.Instance, _ string, of apitest.Account) {
		s.Expect(http.StatusNoContent, s.Call("POST", "/api/v1/auth/logout-all", of.Access, nil))
	}},
	{"end_sessions", func(s *apitest.Instance, root string, of apitest.Account) {
		s.Expect(http.StatusNoContent, s.Call("DELETE", "/api/v1/users/"+of.ID.String()+"/sessions", root, nil))
	}},
	{"password", func(s *apitest.Instance, _ string, of apitest.Account) {
		s.Expect(http.StatusNoContent, s.Call("POST", "/api/v1/auth/password", of.Access,
			map[string]string{"current_password": apitest.OwnerPassword,
				"new_password": "another horse battery staple"}))
	}},
	{"user_disable", func(s *apitest.Instance, _ string, of apitest.Account) {
		if _, err := apitest.Command(s.TB, s.Options)("", "user", "disable", "--tenant=acme", of.Email); err != nil {
			s.Fatal(err)
		}
	}},
	{"user_set_password", func(s *apitest.Instance, _ string, of apitest.Account) {
		const next = "another horse battery staple"
		if _, err := apitest.Command(s.TB, s.Options)(next, "user", "set-password", "--tenant=acme", of.Email,
			apitest.PasswordFromStdin); err != nil {
			s.Fatal(err)
		}
	}},
}

// reactivate undoes the changes of signOuts to a user, except for the rows of sessions that are
// marked as revoked.
func reactivate(s *apitest.Instance, u *ent.User) {
	s.Helper()
	s.DB.Client.User.UpdateOne(u).SetIsActive(true).
		SetPasswordVersion(u.PasswordVersion).SetPasswordHash(*u.PasswordHash).ExecX(principal.System(s.Context(),
		"test"))
}

// Each operation that revokes the sessions of a user succeeds with any number of sessions, marks a
// bounded number of rows, and revokes every session.
func TestSignOut_ofManySessionsRevokesAll(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("creates 100,000 sessions")
	}
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		s := apitest.Start(t, opts)
		sessions := manySessions
		if opts.URL == "" {
			sessions = 5 * maxMarked // SQLite has no statement timeout to exceed, and is slow under the race detector
		}
		root, _ := s.Login()
		ada := s.CreateUser("acme", "ada@acme.test", "member")
		dbtest.GiveSessions(t, s.DB, ada.TenantID, ada.ID, ada.PasswordVersion, sessions)
		ctx := principal.System(t.Context(), "test")
		revoked := func() int { return s.DB.Client.RefreshToken.Query().Where(refreshtoken.Revoked(true)).CountX(ctx) }
		for _, out := range signOuts {
			other, asking := s.SignIn("acme", ada.User), s.SignIn("acme", ada.User)
			before := revoked()
			out.do(s, root, asking)
			if n := revoked() - before; n == 0 || n > maxMarked {
				t.Errorf("%s: %d rows were marked", out.name, n)
			}
			s.CatchUp()
			s.Expect(http.StatusUnauthorized, s.Call("GET", "/api/v1/users/me", other.Access, nil))
			s.Expect(http.StatusUnauthorized, s.Refresh(other.Refresh))
			if n := s.DB.Client.User.GetX(ctx, ada.ID).PasswordVersion; n != ada.PasswordVersion+1 {
				t.Errorf("%s: the password version is %d", out.name, n)
			}
			reactivate(s, ada.User)
		}
	})
}

// A sign-in above the limit of sessions ends the session that was refreshed longest ago. The same
// instance refuses it at once, another instance when its cache has caught up.
func TestSession_beyondTheLimitIsRefused(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		limit := func(c *config.Config) { c.SessionsPerUser = 2 }
		s := apitest.Start(t, opts, limit)
		instances := []*apitest.Instance{s}
		if opts.URL != "" {
			instances = append(instances, apitest.Start(t, opts, limit))
		}
		first, second := s.SignIn("acme", s.Owner()), s.SignIn("acme", s.Owner())
		for _, i := range instances {
			i.CatchUp()
			i.Expect(http.StatusOK, i.Call("GET", "/api/v1/users/me", first.Access, nil))
		}
		s.Expect(http.StatusOK, s.Refresh(first.Refresh)) // so that the second was refreshed longest ago
		for _, i := range instances {
			i.Expect(http.StatusOK, i.Call("GET", "/api/v1/users/me", second.Access, nil))
		}
		third := s.SignIn("acme", s.Owner())
		s.Expect(http.StatusUnauthorized, s.Call("GET", "/api/v1/users/me", second.Access, nil))
		for _, i := range instances {
			i.CatchUp()
			i.Expect(http.StatusUnauthorized, i.Call("GET", "/api/v1/users/me", second.Access, nil))
			i.Expect(http.StatusUnauthorized, i.Refresh(second.Refresh))
			i.Expect(http.StatusOK, i.Call("GET", "/api/v1/users/me", first.Access, nil))
		}
		if listed := s.Sessions(third.Access); len(listed) != 2 {
			t.Errorf("listed %v", listed)
		}
	})
}

// BenchmarkManySessions measures each operation on a user with 100,000 live sessions, on a role
// that 200,000 users have, and on a tenant whose one user has 100,000 sessions, on Postgres.
func BenchmarkManySessions(b *testing.B) {
	s := apitest.StartQuiet(b, dbtest.Postgres(b))
	root, _ := s.Login()
	ada := s.CreateUser("acme", "ada@acme.test", "member")
	dbtest.GiveSessions(b, s.DB, ada.TenantID, ada.ID, ada.PasswordVersion, manySessions)
	measure := func(name string, prepare func() (run func())) {
		b.Run(name, func(b *testing.B) {
			for range b.N {
				b.StopTimer()
				run := prepare()
				b.StartTimer()
				run()
			}
		})
	}
	measure("sign_in", func() func() { return func() { s.SignIn("acme", ada.User) } })
	measure("list", func() func() {
		return func() {
			s.Expect(http.StatusOK, s.Call("GET", "/api/v1/users/"+ada.ID.String()+"/sessions", root, nil))
		}
	})
	for _, out := range signOuts {
		measure(out.name, func() func() {
			reactivate(s, ada.User)
			asking := s.SignIn("acme", ada.User)
			return func() { out.do(s, root, asking) }
		})
	}
	measure("delete_user", func() func() {
		doomed := s.CreateUser("acme", uuid.NewString()+"@acme.test", "member")
		dbtest.GiveSessions(b, s.DB, doomed.TenantID, doomed.ID, doomed.PasswordVersion, manySessions)
		return func() {
			s.Expect(http.StatusNoContent, s.Call("DELETE", "/api/v1/users/"+doomed.ID.String(), root, nil))
		}
	})
	measure("delete_tenant", func() func() {
		slug := "doomed-" + uuid.NewString()
		s.CreateTenant(slug)
		doomed := s.CreateUser(slug, "owner@doomed.test", "owner")
		dbtest.GiveSessions(b, s.DB, doomed.TenantID, doomed.ID, doomed.PasswordVersion, manySessions)
		return func() {
			s.Expect(http.StatusNoContent, s.Call("DELETE", "/api/v1/tenants/"+doomed.TenantID.String(), root, nil))
		}
	})
	fast := url.Values{"options": {"-c session_replication_role=replica"}} // past foreign keys and triggers
	filler, err := sql.Open("postgres", s.Options.URL+"&"+fast.Encode())
	if err != nil {
		b.Fatal(err)
	}
	defer filler.Close()
	apitest.Exec(b, filler, `INSERT INTO users (id, tenant_id, created_at, updated_at, email)
		SELECT gen_random_uuid(), $1, now(), now(), n || '@many.test' FROM generate_series(1, 200000) AS s(n)`,
		ada.TenantID)
	measure("delete_role", func() func() {
		role := s.CreateRole(root, uuid.NewString(), "users:read")
		apitest.Exec(b, filler, `INSERT INTO user_roles (tenant_id, user_id, role_id, created_at, updated_at)
			SELECT tenant_id, id, $1, now(), now() FROM users WHERE email LIKE '%@many.test'`, role)
		apitest.Exec(b, filler, "ANALYZE user_roles")
		return func() { s.Expect(http.StatusNoContent, s.Call("DELETE", "/api/v1/roles/"+role, root, nil)) }
	})
}
