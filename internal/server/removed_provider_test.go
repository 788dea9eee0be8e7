package server_test

import (
	"net/http"
	"testing"

	"tenantry/ent/user"
	"tenantry/internal/config"
	"tenantry/internal/database"
	"tenantry/internal/database/dbtest"
	"tenantry/internal/principal"
)

const (
	ceoEmail   = "ceo@acme.test"
	googlePath = "/api/v1/auth/oauth/google/authorize"
)

// providerRemovals end what a provider of a tenant has started.
var providerRemovals = []struct {
	name   string
	remove func(s *instance, path, access string)
}{
	{"deleted", func(s *instance, path, access string) {
		s.expect(http.StatusNoContent, s.call("DELETE", path, access, nil))
	}},
	{"deleted_and_created_again", func(s *instance, path, access string) {
		issuer := s.call("GET", path, access, nil).field(s.TB, "issuer")
		s.expect(http.StatusNoContent, s.call("DELETE", path, access, nil))
		s.expect(http.StatusCreated, s.call("POST", providersPath, access, ownProvider(issuer)))
	}},
	{"disabled", func(s *instance, path, access string) {
		s.expect(http.StatusOK, s.call("PATCH", path, access, map[string]any{"enabled": false}))
	}},
	{"disabled_and_enabled_again", func(s *instance, path, access string) {
		s.expect(http.StatusOK, s.call("PATCH", path, access, map[string]any{"enabled": false}))
		s.expect(http.StatusOK, s.call("PATCH", path, access, map[string]any{"enabled": true}))
	}},
	{"another_client", func(s *instance, path, access string) {
		s.expect(http.StatusOK, s.call("PATCH", path, access, map[string]any{"client_id": "another"}))
		s.expect(http.StatusOK, s.call("PATCH", path, access, map[string]any{"client_id": "tenantry"}))
	}},
}

func ownProvider(issuer string) map[string]any {
	return provider("corporate", map[string]any{"issuer": issuer, "client_id": "tenantry"})
}

// createProvider sets up the provider "corporate" of the tenant acme and returns its path.
func (s *instance) createProvider(access, issuer string) string {
	s.Helper()
	return providersPath + "/" + s.expect(http.StatusCreated, s.call("POST", providersPath, access, ownProvider(issuer))).field(s.TB, "id")
}

// refused fails the test unless every instance refuses the tokens within a second.
func (s *instance) refused(when string, tokens answer, others ...*instance) {
	s.Helper()
	s.expect(http.StatusUnauthorized, s.call("GET", "/api/v1/users/me", tokens.field(s.TB, "access_token"), nil))
	for _, other := range others {
		soon(s.TB, when, func() bool {
			return other.call("GET", "/api/v1/users/me", tokens.field(s.TB, "access_token"), nil).status == http.StatusUnauthorized
		})
	}
	if a := s.refresh(tokens.field(s.TB, "refresh_token")); a.status != http.StatusUnauthorized {
		s.Errorf("%s: a refresh answers %d", when, a.status)
	}
}

// O-09: a provider of a tenant claims the address of the CEO and is removed. When the CEO signs in
// at a provider of the server and gets a role, no session that the tenant's provider started is
// live, on any instance.
func TestTenantProvider_removedEndsItsSessions(t *testing.T) {
	t.Parallel()
	for _, removal := range providerRemovals {
		t.Run(removal.name, func(t *testing.T) {
			t.Parallel()
			dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
				own, google := newIssuer(t), newIssuer(t)
				own.change(func() { own.person = map[string]any{"sub": "intruder", "email": ceoEmail, "email_verified": true} })
				google.change(func() { google.person = map[string]any{"sub": "ceo", "email": ceoEmail, "email_verified": true} })
				s := start(t, opts, google.offer("google"))
				second := start(t, opts, google.offer("google"), func(c *config.Config) { c.BootstrapPassword = "" })
				s.set("acme", welcoming)
				access, _ := s.login()
				path := s.createProvider(access, own.URL)

				intruder := s.expect(http.StatusOK, s.browser().visit(authorizePath))
				token := intruder.field(t, "access_token")
				for _, i := range []*instance{s, second} {
					i.expect(http.StatusOK, i.call("GET", "/api/v1/users/me", token, nil))
				}
				removal.remove(s, path, access)
				s.refused("removed", intruder, second)

				ceo := s.expect(http.StatusOK, s.browser().visit(googlePath))
				s.refused("the CEO has signed in", intruder, second)
				id := me(t, s, ceo)["id"]
				role := s.systemRole(person{User: s.owner()}, "admin")
				s.expect(http.StatusNoContent, s.call("PUT", "/api/v1/users/"+id+"/roles/"+role, access, nil))
				s.refused("the CEO has a role", intruder, second)
				s.expect(http.StatusOK, s.call("GET", "/api/v1/users", ceo.field(t, "access_token"), nil))
				s.expect(http.StatusOK, s.call("GET", "/api/v1/users/me", access, nil))
			})
		})
	}
}

// O-09: an address that only a provider of the tenant asserts is not verified, also while that
// provider is there: the owner of the address takes the account over at a provider of the server.
func TestTenantProvider_verifiesNoAddress(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		own, google := newIssuer(t), newIssuer(t)
		s := start(t, opts, google.offer("google"))
		s.set("acme", welcoming)
		access, _ := s.login()
		s.createProvider(access, own.URL)
		intruder := s.expect(http.StatusOK, s.browser().visit(authorizePath))
		u := s.db.Client.User.Query().Where(user.Email("ada@acme.test")).OnlyX(principal.System(t.Context(), "test"))
		if u.EmailVerifiedAt != nil {
			t.Error("a provider of the tenant has verified the address")
		}
		owner := s.expect(http.StatusOK, s.browser().visit(googlePath))
		if id := me(t, s, owner)["id"]; id != u.ID.String() {
			t.Errorf("user %s has signed in, want %s", id, u.ID)
		}
		s.refused("the owner has signed in", intruder)
		s.expect(http.StatusConflict, s.browser().visit(authorizePath))
	})
}

// O-11: a code and a flow that began before the provider was removed are refused after it, and leave
// no session.
func TestTenantProvider_removedVoidsCodesAndFlows(t *testing.T) {
	t.Parallel()
	for _, removal := range providerRemovals {
		t.Run(removal.name, func(t *testing.T) {
			t.Parallel()
			dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
				own := newIssuer(t)
				s := start(t, opts, loopback)
				s.set("acme", welcoming)
				access, _ := s.login()
				path := s.createProvider(access, own.URL)
				ada := s.join("acme", "someone@acme.test", "member")
				b, linking := s.browser(), s.browser()
				code := b.visit(withAddress).arrival(b).Get("code")
				callback := b.returning(authorizePath)
				link := linking.returning(linking.beginLink(linkPath, ada.access).field(t, "authorization_url"))
				calls := own.called("/token")
				removal.remove(s, path, access)

				for _, a := range []answer{s.exchange(code), b.visit(callback), linking.visit(link)} {
					if s.expect(http.StatusBadRequest, a).field(t, "code") != "provider_disabled" {
						t.Errorf("refused with %s", a.body)
					}
				}
				if own.called("/token") != calls {
					t.Error("the provider was called")
				}
				if s.reloaded(ada.User).OauthID != nil {
					t.Error("the identity is linked")
				}
			})
		})
	}
}

// What a provider means by a subject may change with its issuer: the issuer of a provider is fixed,
// and a provider that takes the place of another one has another id.
func TestIdentity_ofRemovedTenantProviderSignsNobodyIn(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		first, second := newIssuer(t), newIssuer(t)
		s := start(t, opts, loopback)
		s.set("acme", welcoming)
		access, _ := s.login()
		path := s.createProvider(access, first.URL)
		ada := s.join("acme", "someone@acme.test", "member")
		s.expect(http.StatusNoContent, s.browser().linked(linkPath, ada.access))
		s.expect(http.StatusUnprocessableEntity, s.call("PATCH", path, access, map[string]any{"issuer": second.URL}))

		// The identity outlives a pause of its provider.
		s.expect(http.StatusOK, s.call("PATCH", path, access, map[string]any{"enabled": false}))
		s.expect(http.StatusOK, s.call("PATCH", path, access, map[string]any{"enabled": true}))
		if id := me(t, s, s.expect(http.StatusOK, s.browser().visit(authorizePath)))["id"]; id != ada.ID.String() {
			t.Errorf("user %s has signed in, want %s", id, ada.ID)
		}
		s.expect(http.StatusNoContent, s.call("DELETE", path, access, nil))
		s.createProvider(access, second.URL)
		second.change(func() { second.person["email"] = "other@acme.test" })
		if id := me(t, s, s.expect(http.StatusOK, s.browser().visit(authorizePath)))["id"]; id == ada.ID.String() {
			t.Error("the subject of another issuer has signed in as the user")
		}
	})
}

// A session that names no provider is of a password, of a provider of the server, or older than the
// column: a removal leaves it alone, and so do a new secret and a new label.
func TestTenantProvider_removedLeavesOtherSessions(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		own, google := newIssuer(t), newIssuer(t)
		s := start(t, opts, google.offer("google"))
		s.set("acme", welcoming)
		access, _ := s.login()
		path := s.createProvider(access, own.URL)
		google.change(func() { google.person = map[string]any{"sub": "g", "email": "g@acme.test", "email_verified": true} })
		atServer := s.expect(http.StatusOK, s.browser().visit(googlePath))
		older := s.expect(http.StatusOK, s.browser().visit(authorizePath))
		_, err := s.db.Client.ExecContext(t.Context(), "UPDATE refresh_tokens SET provider_id = NULL, provider_generation = NULL")
		if err != nil {
			t.Fatal(err)
		}
		of := s.expect(http.StatusOK, s.browser().visit(authorizePath))
		s.expect(http.StatusOK, s.call("PATCH", path, access, map[string]any{
			"label": "Acme", "client_secret": "another", "client_id": "tenantry", "enabled": true, "scopes": []string{"openid"},
		}))
		s.expect(http.StatusOK, s.call("GET", "/api/v1/users/me", of.field(t, "access_token"), nil))
		s.expect(http.StatusNoContent, s.call("DELETE", path, access, nil))
		for _, tokens := range []answer{atServer, older} {
			s.expect(http.StatusOK, s.call("GET", "/api/v1/users/me", tokens.field(t, "access_token"), nil))
			s.expect(http.StatusOK, s.refresh(tokens.field(t, "refresh_token")))
		}
		s.refused("removed", of)
	})
}
