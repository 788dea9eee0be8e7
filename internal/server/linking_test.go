package server_test

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"tenantry/ent"
	"tenantry/ent/schema/settings"
	"tenantry/ent/user"
	"tenantry/internal/config"
	"tenantry/internal/database"
	"tenantry/internal/database/dbtest"
	"tenantry/internal/principal"
)

// reloaded is a user as they are stored now.
func (s *instance) reloaded(u *ent.User) *ent.User {
	s.Helper()
	return s.db.Client.User.Query().Where(user.ID(u.ID)).OnlyX(principal.System(s.Context(), "test"))
}

// O-08, O-09: an address links only what both sides have proved, and who had only claimed it is out.
func TestLinking_by_address_wants_proof_on_both_sides(t *testing.T) {
	t.Parallel()
	unverified := map[string]any{
		"false": false, "missing": nil, "a_word": "true", "a_number": 1, "a_list": []bool{true},
	}
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		i := newIssuer(t)
		i.userinfo = map[string]any{} // announced
		s := start(t, opts, i.offer("corporate"))
		s.set("acme", welcoming)
		n := 0
		try := func(name string, local bool, change func(email string)) (person, answer) {
			n++
			u := s.join("acme", fmt.Sprintf("user%d@acme.test", n), "admin")
			if local {
				s.db.Client.User.UpdateOne(u.User).SetEmailVerifiedAt(time.Now()).ExecX(principal.System(t.Context(), "test"))
			}
			i.change(func() {
				i.userinfo = map[string]any{"sub": name}
				i.person = map[string]any{"sub": name, "email": strings.ToUpper(u.Email), "email_verified": true}
				change(u.Email)
			})
			return u, s.browser().visit(authorizePath)
		}
		stays := func(name string, u person, a answer) {
			t.Helper()
			if now := s.reloaded(u.User); a.status != http.StatusConflict || !strings.Contains(string(a.body), `"account_exists"`) || now.OauthID != nil || now.PasswordHash == nil {
				t.Errorf("%s: %d %s", name, a.status, a.body)
			}
			s.expect(http.StatusOK, s.call("GET", "/api/v1/users/me", u.access, nil))
		}
		for _, local := range []bool{true, false} {
			for name, value := range unverified {
				name = fmt.Sprintf("remote %s, local %t", name, local)
				u, a := try(name, local, func(string) {
					if i.person["email_verified"] = value; value == nil {
						delete(i.person, "email_verified")
					}
				})
				stays(name, u, a)
			}
			// Proved in one document, and the address in another.
			u, a := try("split", local, func(email string) {
				delete(i.person, "email")
				i.userinfo["email"] = email
			})
			stays("split", u, a)
			u, a = try("contradiction", local, func(email string) {
				maps.Copy(i.userinfo, map[string]any{"email": "other@acme.test", "email_verified": true})
			})
			stays("contradiction", u, a)
			u, a = try("denied", local, func(email string) {
				maps.Copy(i.userinfo, map[string]any{"email": email, "email_verified": false})
			})
			stays("denied", u, a)
		}

		// Both have proved it: one account, and its password goes on.
		both, a := try("both", true, func(string) {})
		if s.expect(http.StatusOK, a); !strings.Contains(string(a.body), both.ID.String()) {
			t.Errorf("somebody else has signed in: %s", a.body)
		}
		s.expect(http.StatusOK, s.call("GET", "/api/v1/users/me", both.access, nil))
		s.expect(http.StatusOK, s.refresh(both.refresh))
		s.signIn("acme", both.User)

		// Somebody had only claimed it: the account is the one's who proves it, and nobody else's.
		victim, a := try("claimed", false, func(string) {})
		if s.expect(http.StatusOK, a); !strings.Contains(string(a.body), victim.ID.String()) || !strings.Contains(string(a.body), `"email_verified":true`) {
			t.Errorf("somebody else has signed in: %s", a.body)
		}
		s.expect(http.StatusUnauthorized, s.call("POST", "/api/v1/auth/login", "", credentials(victim.Email, ownerPassword)))
		s.expect(http.StatusUnauthorized, s.refresh(victim.refresh))
		s.expect(http.StatusUnauthorized, s.call("GET", "/api/v1/users/me", victim.access, nil))
		s.expect(http.StatusOK, s.call("GET", "/api/v1/users/me", a.field(t, "access_token"), nil))

		// A tenant that does not link by address links nobody, and one without registration takes nobody.
		s.set("acme", func(t *settings.Tenant) { t.LinkByEmail, t.Registration = false, settings.RegistrationClosed })
		u, a := try("not wanted", true, func(string) {})
		stays("not wanted", u, a)
		i.change(func() { i.person["email"] = "new@acme.test" })
		if s.expect(http.StatusForbidden, s.browser().visit(authorizePath)).field(t, "code") != "registration_closed" {
			t.Error("another problem")
		}
		// But whom it knows.
		i.change(func() { i.person, i.userinfo = map[string]any{"sub": "both"}, map[string]any{"sub": "both"} })
		if a := s.expect(http.StatusOK, s.browser().visit(authorizePath)); !strings.Contains(string(a.body), both.ID.String()) {
			t.Errorf("somebody else has signed in: %s", a.body)
		}
	})
}

// O-07: the same subject and address at another provider, or in another tenant, is somebody else.
func TestIdentity_is_of_one_provider_in_one_tenant(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		first, second := newIssuer(t), newIssuer(t)
		s := start(t, opts, first.offer("corporate"), second.offer("second"))
		s.found("other")
		s.set("other", welcoming)
		s.set("acme", welcoming)
		a := s.expect(http.StatusOK, s.browser().visit(authorizePath))
		b := s.expect(http.StatusOK, s.browser().visit(authorizePath+"?tenant=other"))
		if id := me(t, s, a)["id"]; id == me(t, s, b)["id"] || me(t, s, a)["tenant_id"] == me(t, s, b)["tenant_id"] {
			t.Errorf("%s in both tenants", id)
		}
		s.expect(http.StatusConflict, s.browser().visit("/api/v1/auth/oauth/second/authorize"))
		second.change(func() { second.person["email"] = "another@acme.test" })
		c := s.expect(http.StatusOK, s.browser().visit("/api/v1/auth/oauth/second/authorize"))
		if id := me(t, s, a)["id"]; id == me(t, s, c)["id"] {
			t.Errorf("%s at both providers", id)
		}
		// The provider of a tenant takes the place of the server's, and its subjects are others.
		access, _ := s.login()
		s.expect(http.StatusCreated, s.call("POST", providersPath, access, provider("corporate", map[string]any{"issuer": first.URL, "client_id": "tenantry"})))
		s.expect(http.StatusConflict, s.browser().visit(authorizePath))
		s.expect(http.StatusOK, s.browser().visit(authorizePath+"?tenant=other"))
		// Under another issuer the name of a provider of the server is another provider.
		moved := start(t, opts, second.offer("corporate"))
		second.change(func() { maps.Copy(second.person, map[string]any{"sub": "sub-1", "email": "third@acme.test"}) })
		d := moved.expect(http.StatusOK, moved.browser().visit(authorizePath+"?tenant=other"))
		if id := me(t, s, b)["id"]; id == me(t, moved, d)["id"] {
			t.Errorf("%s at both issuers", id)
		}
	})
}

// me is who has got the tokens of an answer.
func me(t testing.TB, s *instance, tokens answer) map[string]string {
	t.Helper()
	a := s.expect(http.StatusOK, s.call("GET", "/api/v1/users/me", tokens.field(t, "access_token"), nil))
	return map[string]string{"id": a.field(t, "id"), "tenant_id": a.field(t, "tenant_id")}
}

// O-12: whoever may not sign in may not do it at a provider either, and is told no more.
func TestWho_may_not_sign_in_may_not_at_a_provider(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		i := newIssuer(t)
		s := start(t, opts, i.offer("corporate"))
		s.set("acme", welcoming)
		ctx := principal.System(t.Context(), "test")
		refused := func(a answer) {
			t.Helper()
			if s.expect(http.StatusUnauthorized, a).field(t, "code") != "invalid_credentials" {
				t.Errorf("refused with %s", a.body)
			}
		}
		with := authorizePath + "?redirect_uri=" + url.QueryEscape(application)
		b := s.browser()
		code := b.visit(with).arrival(b).Get("code")
		ada := s.db.Client.User.Query().Where(user.Email("ada@acme.test")).OnlyX(ctx)
		s.db.Client.User.UpdateOne(ada).SetIsActive(false).ExecX(ctx)
		refused(s.call("POST", "/api/v1/auth/oauth/exchange", "", map[string]string{"code": code}))
		refused(s.browser().visit(authorizePath))
		if landed := b.visit(with).arrival(b); landed.Get("error") != "access_denied" || landed.Get("error_code") != "invalid_credentials" {
			t.Errorf("arrived with %v", landed)
		}
		bob := s.join("acme", "bob@acme.test", "member")
		s.db.Client.User.UpdateOne(bob.User).SetIsActive(false).ExecX(ctx)
		i.change(func() { i.person = map[string]any{"sub": "bob", "email": "bob@acme.test", "email_verified": true} })
		refused(s.browser().visit(authorizePath))

		// A tenant that is suspended in the middle of a flow.
		s.found("other")
		s.set("other", welcoming)
		callback := b.returning(authorizePath + "?tenant=other")
		s.db.Client.Tenant.Update().Where().SetIsActive(false).ExecX(ctx)
		s.expect(http.StatusBadRequest, b.visit(callback))
		if a := s.expect(http.StatusForbidden, b.visit(authorizePath)); a.field(t, "code") != "registration_closed" {
			t.Errorf("refused with %s", a.body)
		}
	})
}

// No address makes a superuser, and nothing that a tenant has set up.
func TestSuperuser_is_nobody_whom_a_tenant_can_be(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		i := newIssuer(t)
		s := start(t, opts, i.offer("server"))
		s.set("acme", welcoming)
		ctx := principal.System(t.Context(), "test")
		s.db.Client.User.UpdateOne(s.owner()).SetEmailVerifiedAt(time.Now()).ExecX(ctx)
		i.change(func() { i.person["email"] = ownerEmail })
		s.expect(http.StatusConflict, s.browser().visit("/api/v1/auth/oauth/server/authorize"))
		access, _ := s.login()
		made := s.expect(http.StatusCreated, s.call("POST", providersPath, access, provider("corporate", map[string]any{"issuer": i.URL, "client_id": "tenantry"})))
		s.expect(http.StatusConflict, s.browser().visit(authorizePath))
		s.expect(http.StatusForbidden, s.call("POST", "/api/v1/auth/oauth/corporate/link", access, nil))
		// One who was linked before.
		s.db.Client.User.UpdateOne(s.owner()).SetOauthProvider(made.field(t, "id")).SetOauthID("sub-1").ExecX(ctx)
		s.expect(http.StatusUnauthorized, s.browser().visit(authorizePath))
	})
}

// An address that was squatted through another provider, which has not proved it either, is its owner's all the same.
func TestSquatted_account_is_its_owners(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		loose, strict := newIssuer(t), newIssuer(t)
		s := start(t, opts, loose.offer("loose"), strict.offer("corporate"))
		s.set("acme", welcoming)
		loose.change(func() { loose.person["email_verified"] = false })
		squatter := s.expect(http.StatusOK, s.browser().visit("/api/v1/auth/oauth/loose/authorize"))
		owner := s.expect(http.StatusOK, s.browser().visit(authorizePath))
		if me(t, s, owner)["id"] == "" {
			t.Error("nobody has signed in")
		}
		s.expect(http.StatusUnauthorized, s.call("GET", "/api/v1/users/me", squatter.field(t, "access_token"), nil))
		s.expect(http.StatusUnauthorized, s.refresh(squatter.field(t, "refresh_token")))
		s.expect(http.StatusConflict, s.browser().visit("/api/v1/auth/oauth/loose/authorize"))
	})
}

// Many who come at once with one identity, or one address, are one user.
func TestFirst_sign_ins_at_once_make_one_user(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		i := newIssuer(t)
		s := start(t, opts, i.offer("corporate"))
		second := start(t, opts, i.offer("corporate"), func(c *config.Config) { c.BootstrapPassword = "" })
		s.set("acme", welcoming)
		for round := range 10 {
			i.change(func() {
				i.person = map[string]any{"sub": fmt.Sprint(round), "email": fmt.Sprintf("new%d@acme.test", round), "email_verified": true}
			})
			var mu sync.Mutex
			var statuses []int
			var all sync.WaitGroup
			for n := range 10 {
				b := []*instance{s, second}[n%2].browser()
				all.Go(func() {
					a := b.visit(authorizePath)
					mu.Lock()
					defer mu.Unlock()
					statuses = append(statuses, a.status)
				})
			}
			all.Wait()
			if slices.ContainsFunc(statuses, func(status int) bool { return status != http.StatusOK }) {
				t.Errorf("statuses %v", statuses)
			}
		}
		if n := s.rows("users"); n != 11 {
			t.Errorf("%d users, want the owner and 10", n)
		}
	})
}
