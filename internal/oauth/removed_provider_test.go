package oauth_test

import (
	"net/http"
	"testing"

	"tenantry/ent/user"
	"tenantry/internal/apitest"
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
	remove func(s *apitest.Instance, path, access string)
}{
	{"deleted", func(s *apitest.Instance, path, access string) {
		s.Expect(http.StatusNoContent, s.Call("DELETE", path, access, nil))
	}},
	{"deleted_and_created_again", func(s *apitest.Instance, path, access string) {
		issuer := s.Call("GET", path, access, nil).Field(s.TB, "issuer")
		s.Expect(http.StatusNoContent, s.Call("DELETE", path, access, nil))
		s.Expect(http.StatusCreated, s.Call("POST", apitest.ProvidersPath, access, ownProvider(issuer)))
	}},
	{"disabled", func(s *apitest.Instance, path, access string) {
		s.Expect(http.StatusOK, s.Call("PATCH", path, access, map[string]any{"enabled": false}))
	}},
	{"disabled_and_enabled_again", func(s *apitest.Instance, path, access string) {
		s.Expect(http.StatusOK, s.Call("PATCH", path, access, map[string]any{"enabled": false}))
		s.Expect(http.StatusOK, s.Call("PATCH", path, access, map[string]any{"enabled": true}))
	}},
	{"another_client", func(s *apitest.Instance, path, access string) {
		s.Expect(http.StatusOK, s.Call("PATCH", path, access, map[string]any{"client_id": "another"}))
		s.Expect(http.StatusOK, s.Call("PATCH", path, access, map[string]any{"client_id": "tenantry"}))
	}},
}

func ownProvider(issuer string) map[string]any {
	return apitest.ProviderBody("corporate", map[string]any{"issuer": issuer, "client_id": "tenantry"})
}

// createProvider sets up the provider "corporate" of the tenant acme and returns its path.
func createProvider(s *apitest.Instance, access, issuer string) string {
	s.Helper()
	return apitest.ProvidersPath + "/" +
		s.Expect(http.StatusCreated, s.Call("POST", apitest.ProvidersPath, access, ownProvider(issuer))).Field(s.TB,
			"id")
}

// refused fails the test unless every instance refuses the tokens within a second.
func refused(s *apitest.Instance, when string, tokens apitest.Answer, others ...*apitest.Instance) {
	s.Helper()
	s.Expect(http.StatusUnauthorized, s.Call("GET", "/api/v1/users/me", tokens.Field(s.TB, "access_token"), nil))
	for _, other := range others {
		apitest.Eventually(s.TB, when, func() bool {
			return other.Call("GET", "/api/v1/users/me", tokens.Field(s.TB, "access_token"),
				nil).Status == http.StatusUnauthorized
		})
	}
	if a := s.Refresh(tokens.Field(s.TB, "refresh_token")); a.Status != http.StatusUnauthorized {
		s.Errorf("%s: a refresh answers %d", when, a.Status)
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
				own, google := apitest.NewIssuer(t), apitest.NewIssuer(t)
				own.Change(func() {
					own.Claims = map[string]any{"sub": "intruder", "email": ceoEmail, "email_verified": true}
				})
				google.Change(func() {
					google.Claims = map[string]any{"sub": "ceo", "email": ceoEmail, "email_verified": true}
				})
				s := apitest.Start(t, opts, google.Configure("google"))
				second := apitest.Start(t, opts, google.Configure("google"), func(c *config.Config) {
					c.BootstrapPassword = ""
				})
				s.ChangeSettings("acme", apitest.OpenToProviders)
				access, _ := s.Login()
				path := createProvider(s, access, own.URL)

				intruder := s.Expect(http.StatusOK, s.Browser().Visit(apitest.AuthorizePath))
				token := intruder.Field(t, "access_token")
				for _, i := range []*apitest.Instance{s, second} {
					i.Expect(http.StatusOK, i.Call("GET", "/api/v1/users/me", token, nil))
				}
				removal.remove(s, path, access)
				refused(s, "removed", intruder, second)

				ceo := s.Expect(http.StatusOK, s.Browser().Visit(googlePath))
				refused(s, "the CEO has signed in", intruder, second)
				id := me(t, s, ceo)["id"]
				role := s.SystemRole(apitest.Account{User: s.Owner()}, "admin")
				s.Expect(http.StatusNoContent, s.Call("PUT", "/api/v1/users/"+id+"/roles/"+role, access, nil))
				refused(s, "the CEO has a role", intruder, second)
				s.Expect(http.StatusOK, s.Call("GET", "/api/v1/users", ceo.Field(t, "access_token"), nil))
				s.Expect(http.StatusOK, s.Call("GET", "/api/v1/users/me", access, nil))
			})
		})
	}
}

// O-09: an address that only a provider of the tenant asserts is not verified, also while that
// provider is there: the owner of the address takes the account over at a provider of the server.
func TestTenantProvider_verifiesNoAddress(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		own, google := apitest.NewIssuer(t), apitest.NewIssuer(t)
		s := apitest.Start(t, opts, google.Configure("google"))
		s.ChangeSettings("acme", apitest.OpenToProviders)
		access, _ := s.Login()
		createProvider(s, access, own.URL)
		intruder := s.Expect(http.StatusOK, s.Browser().Visit(apitest.AuthorizePath))
		u := s.DB.Client.User.Query().Where(user.Email("ada@acme.test")).OnlyX(principal.System(t.Context(), "test"))
		if u.EmailVerifiedAt != nil {
			t.Error("a provider of the tenant has verified the address")
		}
		owner := s.Expect(http.StatusOK, s.Browser().Visit(googlePath))
		if id := me(t, s, owner)["id"]; id != u.ID.String() {
			t.Errorf("user %s has signed in, want %s", id, u.ID)
		}
		refused(s, "the owner has signed in", intruder)
		s.Expect(http.StatusConflict, s.Browser().Visit(apitest.AuthorizePath))
	})
}

// O-11: a code and a flow that began before the provider was removed are refused after it, and
// leave no session.
func TestTenantProvider_removedVoidsCodesAndFlows(t *testing.T) {
	t.Parallel()
	for _, removal := range providerRemovals {
		t.Run(removal.name, func(t *testing.T) {
			t.Parallel()
			dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
				own := apitest.NewIssuer(t)
				s := apitest.Start(t, opts, apitest.AllowLoopback)
				s.ChangeSettings("acme", apitest.OpenToProviders)
				access, _ := s.Login()
				path := createProvider(s, access, own.URL)
				ada := s.CreateUser("acme", "someone@acme.test", "member")
				b, linking := s.Browser(), s.Browser()
				code := b.Visit(apitest.AuthorizeToApplication).RedirectQuery(b).Get("code")
				callback := b.UntilCallback(apitest.AuthorizePath)
				link := linking.UntilCallback(linking.BeginLink(apitest.LinkPath, ada.Access).Field(t,
					"authorization_url"))
				calls := own.Called("/token")
				removal.remove(s, path, access)

				for _, a := range []apitest.Answer{s.ExchangeCode(code), b.Visit(callback), linking.Visit(link)} {
					if s.Expect(http.StatusBadRequest, a).Field(t, "code") != "provider_disabled" {
						t.Errorf("refused with %s", a.Body)
					}
				}
				if own.Called("/token") != calls {
					t.Error("the provider was called")
				}
				if reloaded(s, ada.User).OauthID != nil {
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
		first, second := apitest.NewIssuer(t), apitest.NewIssuer(t)
		s := apitest.Start(t, opts, apitest.AllowLoopback)
		s.ChangeSettings("acme", apitest.OpenToProviders)
		access, _ := s.Login()
		path := createProvider(s, access, first.URL)
		ada := s.CreateUser("acme", "someone@acme.test", "member")
		s.Expect(http.StatusNoContent, s.Browser().Link(apitest.LinkPath, ada.Access))
		s.Expect(http.StatusUnprocessableEntity, s.Call("PATCH", path, access, map[string]any{"issuer": second.URL}))

		// The identity outlives a pause of its provider.
		s.Expect(http.StatusOK, s.Call("PATCH", path, access, map[string]any{"enabled": false}))
		s.Expect(http.StatusOK, s.Call("PATCH", path, access, map[string]any{"enabled": true}))
		if id := me(t, s, s.Expect(http.StatusOK,
			s.Browser().Visit(apitest.AuthorizePath)))["id"]; id != ada.ID.String() {
			t.Errorf("user %s has signed in, want %s", id, ada.ID)
		}
		s.Expect(http.StatusNoContent, s.Call("DELETE", path, access, nil))
		createProvider(s, access, second.URL)
		second.Change(func() { second.Claims["email"] = "other@acme.test" })
		if id := me(t, s, s.Expect(http.StatusOK,
			s.Browser().Visit(apitest.AuthorizePath)))["id"]; id == ada.ID.String() {
			t.Error("the subject of another issuer has signed in as the user")
		}
	})
}

// A session that names no provider is of a password, of a provider of the server, or older than the
// column: a removal leaves it alone, and so do a new secret and a new label.
func TestTenantProvider_removedLeavesOtherSessions(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		own, google := apitest.NewIssuer(t), apitest.NewIssuer(t)
		s := apitest.Start(t, opts, google.Configure("google"))
		s.ChangeSettings("acme", apitest.OpenToProviders)
		access, _ := s.Login()
		path := createProvider(s, access, own.URL)
		google.Change(func() {
			google.Claims = map[string]any{"sub": "g", "email": "g@acme.test", "email_verified": true}
		})
		atServer := s.Expect(http.StatusOK, s.Browser().Visit(googlePath))
		older := s.Expect(http.StatusOK, s.Browser().Visit(apitest.AuthorizePath))
		_, err := s.DB.Client.ExecContext(t.Context(),
			"UPDATE refresh_tokens SET provider_id = NULL, provider_generation = NULL")
		if err != nil {
			t.Fatal(err)
		}
		of := s.Expect(http.StatusOK, s.Browser().Visit(apitest.AuthorizePath))
		s.Expect(http.StatusOK, s.Call("PATCH", path, access, map[string]any{
			"label": "Acme", "client_secret": "another", "client_id": "tenantry", "enabled": true,
			"scopes": []string{"openid"},
		}))
		s.Expect(http.StatusOK, s.Call("GET", "/api/v1/users/me", of.Field(t, "access_token"), nil))
		s.Expect(http.StatusNoContent, s.Call("DELETE", path, access, nil))
		for _, tokens := range []apitest.Answer{atServer, older} {
			s.Expect(http.StatusOK, s.Call("GET", "/api/v1/users/me", tokens.Field(t, "access_token"), nil))
			s.Expect(http.StatusOK, s.Refresh(tokens.Field(t, "refresh_token")))
		}
		refused(s, "removed", of)
	})
}
