package oauth_test

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"testing"
	"time"

	"tenantry/ent"
	"tenantry/ent/user"
	"tenantry/internal/apitest"
	"tenantry/internal/config"
	"tenantry/internal/database"
	"tenantry/internal/database/dbtest"
	"tenantry/internal/principal"
)

// reloaded is a user as they are stored now.
func reloaded(s *apitest.Instance, u *ent.User) *ent.User {
	s.Helper()
	return s.DB.Client.User.Query().Where(user.ID(u.ID)).OnlyX(principal.System(s.Context(), "test"))
}

// O-07: the same subject and address at another provider, or in another tenant, is another user.
func TestIdentity_belongsToOneProviderInOneTenant(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		first, second := apitest.NewIssuer(t), apitest.NewIssuer(t)
		s := apitest.Start(t, opts, first.Configure("corporate"), second.Configure("second"))
		s.CreateTenant("other")
		s.ChangeSettings("other", apitest.OpenToProviders)
		s.ChangeSettings("acme", apitest.OpenToProviders)
		a := s.Expect(http.StatusOK, s.Browser().Visit(apitest.AuthorizePath))
		b := s.Expect(http.StatusOK, s.Browser().Visit(apitest.AuthorizePath+"?tenant=other"))
		if id := me(t, s, a)["id"]; id == me(t, s, b)["id"] || me(t, s, a)["tenant_id"] == me(t, s, b)["tenant_id"] {
			t.Errorf("%s in both tenants", id)
		}
		s.Expect(http.StatusConflict, s.Browser().Visit("/api/v1/auth/oauth/second/authorize"))
		second.Change(func() { second.Claims["email"] = "another@acme.test" })
		c := s.Expect(http.StatusOK, s.Browser().Visit("/api/v1/auth/oauth/second/authorize"))
		if id := me(t, s, a)["id"]; id == me(t, s, c)["id"] {
			t.Errorf("%s at both providers", id)
		}
		// The provider of a tenant takes the place of the server's, and its subjects are others.
		access, _ := s.Login()
		s.Expect(http.StatusCreated, s.Call("POST", apitest.ProvidersPath, access,
			apitest.ProviderBody("corporate", map[string]any{"issuer": first.URL, "client_id": "tenantry"})))
		s.Expect(http.StatusConflict, s.Browser().Visit(apitest.AuthorizePath))
		s.Expect(http.StatusOK, s.Browser().Visit(apitest.AuthorizePath+"?tenant=other"))
		// Under another issuer the name of a provider of the server is another provider.
		moved := apitest.Start(t, opts, second.Configure("corporate"))
		second.Change(func() { maps.Copy(second.Claims, map[string]any{"sub": "sub-1", "email": "third@acme.test"}) })
		d := moved.Expect(http.StatusOK, moved.Browser().Visit(apitest.AuthorizePath+"?tenant=other"))
		if id := me(t, s, b)["id"]; id == me(t, moved, d)["id"] {
			t.Errorf("%s at both issuers", id)
		}
	})
}

// me is who has got the tokens of an answer.
func me(t testing.TB, s *apitest.Instance, tokens apitest.Answer) map[string]string {
	t.Helper()
	a := s.Expect(http.StatusOK, s.Call("GET", "/api/v1/users/me", tokens.Field(t, "access_token"), nil))
	return map[string]string{"id": a.Field(t, "id"), "tenant_id": a.Field(t, "tenant_id")}
}

// O-12: a user who may not sign in may not do so at a provider either, and gets the same error.
func TestDisabledUsers_cannotSignInAtAProvider(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		i := apitest.NewIssuer(t)
		s := apitest.Start(t, opts, i.Configure("corporate"))
		s.ChangeSettings("acme", apitest.OpenToProviders)
		ctx := principal.System(t.Context(), "test")
		refused := func(a apitest.Answer) {
			t.Helper()
			if s.Expect(http.StatusUnauthorized, a).Field(t, "code") != "invalid_credentials" {
				t.Errorf("refused with %s", a.Body)
			}
		}
		with := apitest.AuthorizePath + "?redirect_uri=" + url.QueryEscape(apitest.ApplicationURL)
		b := s.Browser()
		code := b.Visit(with).RedirectQuery(b).Get("code")
		ada := s.DB.Client.User.Query().Where(user.Email("ada@acme.test")).OnlyX(ctx)
		s.DB.Client.User.UpdateOne(ada).SetIsActive(false).ExecX(ctx)
		refused(s.Call("POST", "/api/v1/auth/oauth/exchange", "", map[string]string{"code": code}))
		refused(s.Browser().Visit(apitest.AuthorizePath))
		if landed := b.Visit(with).RedirectQuery(b); landed.Get("error") != "access_denied" ||
			landed.Get("error_code") != "invalid_credentials" {
			t.Errorf("arrived with %v", landed)
		}
		bob := s.CreateUser("acme", "bob@acme.test", "member")
		s.DB.Client.User.UpdateOne(bob.User).SetIsActive(false).ExecX(ctx)
		i.Change(func() { i.Claims = map[string]any{"sub": "bob", "email": "bob@acme.test", "email_verified": true} })
		refused(s.Browser().Visit(apitest.AuthorizePath))

		// A tenant that is suspended in the middle of a flow.
		s.CreateTenant("other")
		s.ChangeSettings("other", apitest.OpenToProviders)
		callback := b.UntilCallback(apitest.AuthorizePath + "?tenant=other")
		s.DB.Client.Tenant.Update().Where().SetIsActive(false).ExecX(ctx)
		s.Expect(http.StatusBadRequest, b.Visit(callback))
		if a := s.Expect(http.StatusForbidden, b.Visit(apitest.AuthorizePath)); a.Field(t,
			"code") != "registration_closed" {
			t.Errorf("refused with %s", a.Body)
		}
	})
}

// Neither an address nor a provider of a tenant signs a superuser in.
func TestTenantProvider_cannotSignInSuperuser(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		i := apitest.NewIssuer(t)
		s := apitest.Start(t, opts, i.Configure("server"))
		s.ChangeSettings("acme", apitest.OpenToProviders)
		ctx := principal.System(t.Context(), "test")
		s.DB.Client.User.UpdateOne(s.Owner()).SetEmailVerifiedAt(time.Now()).ExecX(ctx)
		i.Change(func() { i.Claims["email"] = apitest.OwnerEmail })
		s.Expect(http.StatusConflict, s.Browser().Visit("/api/v1/auth/oauth/server/authorize"))
		access, _ := s.Login()
		made := s.Expect(http.StatusCreated, s.Call("POST", apitest.ProvidersPath, access,
			apitest.ProviderBody("corporate", map[string]any{"issuer": i.URL, "client_id": "tenantry"})))
		s.Expect(http.StatusConflict, s.Browser().Visit(apitest.AuthorizePath))
		s.Expect(http.StatusForbidden, s.Call("POST", "/api/v1/auth/oauth/corporate/link", access, nil))
		// One who was linked before.
		s.DB.Client.User.UpdateOne(s.Owner()).SetOauthProvider(made.Field(t, "id")).SetOauthID("sub-1").ExecX(ctx)
		s.Expect(http.StatusUnauthorized, s.Browser().Visit(apitest.AuthorizePath))
	})
}

// An address that was squatted through another provider, which has not proved it either, is its
// owner's all the same.
func TestUnverifiedAccount_belongsToTheOwnerOfTheAddress(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		loose, strict := apitest.NewIssuer(t), apitest.NewIssuer(t)
		s := apitest.Start(t, opts, loose.Configure("loose"), strict.Configure("corporate"))
		s.ChangeSettings("acme", apitest.OpenToProviders)
		loose.Change(func() { loose.Claims["email_verified"] = false })
		squatter := s.Expect(http.StatusOK, s.Browser().Visit("/api/v1/auth/oauth/loose/authorize"))
		owner := s.Expect(http.StatusOK, s.Browser().Visit(apitest.AuthorizePath))
		if me(t, s, owner)["id"] == "" {
			t.Error("no user has signed in")
		}
		s.Expect(http.StatusUnauthorized, s.Call("GET", "/api/v1/users/me", squatter.Field(t, "access_token"), nil))
		s.Expect(http.StatusUnauthorized, s.Refresh(squatter.Field(t, "refresh_token")))
		s.Expect(http.StatusConflict, s.Browser().Visit("/api/v1/auth/oauth/loose/authorize"))
	})
}

// Many who come at once with one identity, or one address, are one user.
func TestFirstSignIns_inParallelCreateOneUser(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		i := apitest.NewIssuer(t)
		s := apitest.Start(t, opts, i.Configure("corporate"))
		second := apitest.Start(t, opts, i.Configure("corporate"), func(c *config.Config) { c.BootstrapPassword = "" })
		s.ChangeSettings("acme", apitest.OpenToProviders)
		for round := range 10 {
			i.Change(func() {
				i.Claims = map[string]any{"sub": fmt.Sprint(round), "email": fmt.Sprintf("new%d@acme.test", round),
					"email_verified": true}
			})
			var mu sync.Mutex
			var statuses []int
			var all sync.WaitGroup
			for n := range 10 {
				b := []*apitest.Instance{s, second}[n%2].Browser()
				all.Go(func() {
					a := b.Visit(apitest.AuthorizePath)
					mu.Lock()
					defer mu.Unlock()
					statuses = append(statuses, a.Status)
				})
			}
			all.Wait()
			if slices.ContainsFunc(statuses, func(status int) bool { return status != http.StatusOK }) {
				t.Errorf("statuses %v", statuses)
			}
		}
		if n := s.Rows("users"); n != 11 {
			t.Errorf("%d users, want the owner and 10", n)
		}
	})
}
