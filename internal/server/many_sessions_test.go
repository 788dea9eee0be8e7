package server_test

import (
	"database/sql"
	"net/http"
	"net/url"
	"testing"

	"github.com/google/uuid"

	"tenantry/ent"
	"tenantry/ent/refreshtoken"
	"tenantry/internal/config"
	"tenantry/internal/database"
	"tenantry/internal/database/dbtest"
	"tenantry/internal/principal"
)

const (
	// manySessions are too many for one statement of Postgres: it would exceed the statement
	// timeout.
	manySessions = 100_000
	// mostMarked is how many session rows a request may write, and somewhat more.
	mostMarked = 1000
)

// signOuts are the operations that revoke every session of a user, or every other session.
var signOuts = []struct {
	name string
	do   func(s *instance, root string, of person)
}{
	{"deactivation", func(s *instance, root string, of person) {
		inactive := map[string]any{"is_active": false}
		s.expect(http.StatusOK, s.call("PATCH", "/api/v1/users/"+of.ID.String(), root, inactive))
	}},
	{"sign_out_everywhere", func(s *instance, _ string, of person) {
		s.expect(http.StatusNoContent, s.call("POST", "/api/v1/auth/logout-all", of.access, nil))
	}},
	{"end_sessions", func(s *instance, root string, of person) {
		s.expect(http.StatusNoContent, s.call("DELETE", "/api/v1/users/"+of.ID.String()+"/sessions", root, nil))
	}},
	{"password", func(s *instance, _ string, of person) {
		s.expect(http.StatusNoContent, s.call("POST", "/api/v1/auth/password", of.access,
			map[string]string{"current_password": ownerPassword, "new_password": "another horse battery staple"}))
	}},
	{"user_disable", func(s *instance, _ string, of person) {
		if _, err := command(s.TB, s.opts)("", "user", "disable", "--tenant=acme", of.Email); err != nil {
			s.Fatal(err)
		}
	}},
	{"user_set_password", func(s *instance, _ string, of person) {
		const next = "another horse battery staple"
		if _, err := command(s.TB, s.opts)(next, "user", "set-password", "--tenant=acme", of.Email, withPassword); err != nil {
			s.Fatal(err)
		}
	}},
}

// revive undoes what signOuts do to a user, except for the rows of sessions that are marked as
// revoked.
func (s *instance) revive(u *ent.User) {
	s.Helper()
	s.db.Client.User.UpdateOne(u).SetIsActive(true).
		SetPasswordVersion(u.PasswordVersion).SetPasswordHash(*u.PasswordHash).ExecX(principal.System(s.Context(), "test"))
}

// Each operation that revokes the sessions of a user succeeds with any number of sessions, marks a
// bounded number of rows, and revokes every session.
func TestSignOut_of_a_user_with_many_sessions(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		s := start(t, opts)
		sessions := manySessions
		if opts.URL == "" {
			sessions = 5 * mostMarked // SQLite has no statement timeout to exceed, and is slow under the race detector
		}
		root, _ := s.login()
		ada := s.join("acme", "ada@acme.test", "member")
		dbtest.GiveSessions(t, s.db, ada.TenantID, ada.ID, ada.PasswordVersion, sessions)
		ctx := principal.System(t.Context(), "test")
		revoked := func() int { return s.db.Client.RefreshToken.Query().Where(refreshtoken.Revoked(true)).CountX(ctx) }
		for _, out := range signOuts {
			other, asking := s.signIn("acme", ada.User), s.signIn("acme", ada.User)
			before := revoked()
			out.do(s, root, asking)
			if n := revoked() - before; n == 0 || n > mostMarked {
				t.Errorf("%s: %d rows were marked", out.name, n)
			}
			s.server.CatchUp()
			s.expect(http.StatusUnauthorized, s.call("GET", "/api/v1/users/me", other.access, nil))
			s.expect(http.StatusUnauthorized, s.refresh(other.refresh))
			if n := s.db.Client.User.GetX(ctx, ada.ID).PasswordVersion; n != ada.PasswordVersion+1 {
				t.Errorf("%s: the password version is %d", out.name, n)
			}
			s.revive(ada.User)
		}
	})
}

// A session that a sign-in has ended because of the limit is refused by the same instance at once,
// and by another instance once its cache has caught up.
func TestSession_beyond_the_limit_is_refused(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		limit := func(c *config.Config) { c.SessionsPerUser = 2 }
		s := start(t, opts, limit)
		instances := []*instance{s}
		if opts.URL != "" {
			instances = append(instances, start(t, opts, limit))
		}
		first, second := s.signIn("acme", s.owner()), s.signIn("acme", s.owner())
		for _, i := range instances {
			i.server.CatchUp()
			i.expect(http.StatusOK, i.call("GET", "/api/v1/users/me", first.access, nil))
		}
		s.expect(http.StatusOK, s.refresh(first.refresh)) // so that the second was refreshed longest ago
		for _, i := range instances {
			i.expect(http.StatusOK, i.call("GET", "/api/v1/users/me", second.access, nil))
		}
		third := s.signIn("acme", s.owner())
		s.expect(http.StatusUnauthorized, s.call("GET", "/api/v1/users/me", second.access, nil))
		for _, i := range instances {
			i.server.CatchUp()
			i.expect(http.StatusUnauthorized, i.call("GET", "/api/v1/users/me", second.access, nil))
			i.expect(http.StatusUnauthorized, i.refresh(second.refresh))
			i.expect(http.StatusOK, i.call("GET", "/api/v1/users/me", first.access, nil))
		}
		if listed := s.sessions(third.access); len(listed) != 2 {
			t.Errorf("listed %v", listed)
		}
	})
}

// BenchmarkManySessions measures each operation on a user with 100,000 live sessions, on a role
// that 200,000 users have, and on a tenant whose one user has 100,000 sessions, on Postgres.
func BenchmarkManySessions(b *testing.B) {
	s := quiet(b, dbtest.Postgres(b))
	root, _ := s.login()
	ada := s.join("acme", "ada@acme.test", "member")
	dbtest.GiveSessions(b, s.db, ada.TenantID, ada.ID, ada.PasswordVersion, manySessions)
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
	measure("sign_in", func() func() { return func() { s.signIn("acme", ada.User) } })
	measure("list", func() func() {
		return func() {
			s.expect(http.StatusOK, s.call("GET", "/api/v1/users/"+ada.ID.String()+"/sessions", root, nil))
		}
	})
	for _, out := range signOuts {
		measure(out.name, func() func() {
			s.revive(ada.User)
			asking := s.signIn("acme", ada.User)
			return func() { out.do(s, root, asking) }
		})
	}
	measure("delete_user", func() func() {
		doomed := s.join("acme", uuid.NewString()+"@acme.test", "member")
		dbtest.GiveSessions(b, s.db, doomed.TenantID, doomed.ID, doomed.PasswordVersion, manySessions)
		return func() {
			s.expect(http.StatusNoContent, s.call("DELETE", "/api/v1/users/"+doomed.ID.String(), root, nil))
		}
	})
	measure("delete_tenant", func() func() {
		slug := "doomed-" + uuid.NewString()
		s.found(slug)
		doomed := s.join(slug, "owner@doomed.test", "owner")
		dbtest.GiveSessions(b, s.db, doomed.TenantID, doomed.ID, doomed.PasswordVersion, manySessions)
		return func() {
			s.expect(http.StatusNoContent, s.call("DELETE", "/api/v1/tenants/"+doomed.TenantID.String(), root, nil))
		}
	})
	fast := url.Values{"options": {"-c session_replication_role=replica"}} // past foreign keys and triggers
	filler, err := sql.Open("postgres", s.opts.URL+"&"+fast.Encode())
	if err != nil {
		b.Fatal(err)
	}
	defer filler.Close()
	statement(b, filler, `INSERT INTO users (id, tenant_id, created_at, updated_at, email)
		SELECT gen_random_uuid(), $1, now(), now(), n || '@many.test' FROM generate_series(1, 200000) AS s(n)`,
		ada.TenantID)
	measure("delete_role", func() func() {
		role := s.makeRole(root, uuid.NewString(), "users:read")
		statement(b, filler, `INSERT INTO user_roles (tenant_id, user_id, role_id, created_at, updated_at)
			SELECT tenant_id, id, $1, now(), now() FROM users WHERE email LIKE '%@many.test'`, role)
		statement(b, filler, "ANALYZE user_roles")
		return func() { s.expect(http.StatusNoContent, s.call("DELETE", "/api/v1/roles/"+role, root, nil)) }
	})
}
