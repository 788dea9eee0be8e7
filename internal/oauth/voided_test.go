package oauth_test

import (
	"crypto/sha256"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"testing"
	"time"

	"tenantry/ent/user"
	"tenantry/internal/apitest"
	"tenantry/internal/config"
	"tenantry/internal/database"
	"tenantry/internal/database/dbtest"
	"tenantry/internal/principal"
)

// A code is valid for a minute, for its purpose, and for no user who was signed out
// meanwhile.
func TestCode_isVoidAfterWhatVoidsASession(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		clock := apitest.NewClock()
		i := apitest.NewIssuer(t)
		i.Clock = clock.Now
		s := apitest.StartAt(t, opts, clock.Now, i.Configure("corporate"))
		s.ChangeSettings("acme", apitest.OpenToProviders)
		b := s.Browser()
		ada := s.CreateUser("acme", "someone@acme.test", "member")
		s.Expect(http.StatusNoContent, s.Browser().Link(apitest.LinkPath, ada.Access))
		code := func() string { return b.Visit(apitest.AuthorizeToApplication).RedirectQuery(b).Get("code") }

		before := code()
		s.Expect(http.StatusNoContent, s.Call("POST", "/api/v1/auth/logout-all", ada.Access, nil))
		s.Expect(http.StatusBadRequest, s.ExchangeCode(before))
		before = code()
		ada = s.SignIn("acme", ada.User)
		s.Expect(http.StatusNoContent, s.Call("POST", "/api/v1/auth/password", ada.Access,
			map[string]string{"current_password": apitest.OwnerPassword,
				"new_password": "another horse battery staple"}))
		s.Expect(http.StatusUnauthorized, s.ExchangeCode(before))

		before = code()
		clock.Advance(time.Minute + time.Second)
		s.Expect(http.StatusBadRequest, s.ExchangeCode(before))
		s.Expect(http.StatusOK, s.ExchangeCode(code()))
		if a := s.Call("POST", "/api/v1/auth/oauth/exchange", "",
			map[string]string{"code": code(),
				"code_verifier": fmt.Sprintf("%043d", 1)}); a.Status != http.StatusBadRequest {
			t.Errorf("a verifier without challenge: %d", a.Status)
		}
		ctx := principal.System(t.Context(), "test")
		hash := sha256.Sum256([]byte("another purpose"))
		s.DB.Client.OneTimeToken.Create().SetTenantID(ada.TenantID).SetUserID(ada.ID).SetPurpose("invitation").
			SetTokenHash(hash[:]).
			SetExpiresAt(clock.Now().Add(time.Hour)).SaveX(ctx)
		s.Expect(http.StatusBadRequest, s.ExchangeCode("another purpose"))
	})
}

// O-09 in a race: a squatter who calls back beside the owner of the address never has a session in
// the owner's account.
func TestUnverifiedAccount_besideTheOwnerGetsNoAccess(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		loose, strict := apitest.NewIssuer(t), apitest.NewIssuer(t)
		s := apitest.Start(t, opts, loose.Configure("loose"), strict.Configure("corporate"))
		s.ChangeSettings("acme", apitest.OpenToProviders)
		for round := range 15 {
			address := fmt.Sprintf("victim%d@acme.test", round)
			loose.Change(func() {
				loose.Claims = map[string]any{"sub": fmt.Sprint("squatter", round), "email": address}
			})
			strict.Change(func() {
				strict.Claims = map[string]any{"sub": fmt.Sprint("owner", round), "email": address,
					"email_verified": true}
			})
			s.Expect(http.StatusOK, s.Browser().Visit("/api/v1/auth/oauth/loose/authorize"))
			squatters := make([]*apitest.Browser, 6)
			callbacks := make([]string, len(squatters))
			for n := range squatters {
				squatters[n] = s.Browser()
				callbacks[n] = squatters[n].UntilCallback("/api/v1/auth/oauth/loose/authorize" +
					[]string{"", "?redirect_uri=" + url.QueryEscape(apitest.ApplicationURL)}[n%2])
			}
			owner := s.Browser()
			callback := owner.UntilCallback(apitest.AuthorizePath)
			answers := make([]apitest.Answer, len(squatters))
			var all sync.WaitGroup
			for n, b := range squatters {
				all.Go(func() {
					time.Sleep(time.Duration(n) * time.Millisecond)
					answers[n] = b.Visit(callbacks[n])
				})
			}
			all.Go(func() { s.Expect(http.StatusOK, owner.Visit(callback)) })
			all.Wait()
			for n, a := range answers {
				if a.Status == http.StatusSeeOther {
					a = s.ExchangeCode(a.RedirectQuery(squatters[n]).Get("code"))
				}
				if a.Status == http.StatusOK {
					s.Expect(http.StatusUnauthorized, s.Call("GET", "/api/v1/users/me", a.Field(t, "access_token"),
						nil))
					s.Expect(http.StatusUnauthorized, s.Refresh(a.Field(t, "refresh_token")))
				}
			}
		}
	})
}

// The right to set up a provider is not the right to sign in as every user (T-04).
func TestTenantProvider_isNotTrustedForAddresses(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		i := apitest.NewIssuer(t)
		s := apitest.Start(t, opts, apitest.AllowLoopback)
		s.ChangeSettings("acme", apitest.OpenToProviders)
		access, _ := s.Login()
		made := s.Expect(http.StatusCreated, s.Call("POST", apitest.ProvidersPath, access,
			apitest.ProviderBody("corporate", map[string]any{"issuer": i.URL, "client_id": "tenantry"})))
		for _, verified := range []bool{true, false} {
			owner := s.CreateUser("acme", fmt.Sprintf("owner-%t@acme.test", verified), "owner")
			if verified {
				s.DB.Client.User.UpdateOne(owner.User).SetEmailVerifiedAt(time.Now()).
					ExecX(principal.System(t.Context(), "test"))
			}
			i.Change(func() { i.Claims["email"] = owner.Email })
			s.Expect(http.StatusConflict, s.Browser().Visit(apitest.AuthorizePath))
			s.Expect(http.StatusOK, s.Call("GET", "/api/v1/users/me", owner.Access, nil))
		}

		// Its links are deleted with it, so that no user depends on a provider that is not
		// there.
		i.Change(func() { i.Claims["email"] = "ada@acme.test" })
		s.Expect(http.StatusOK, s.Browser().Visit(apitest.AuthorizePath))
		path := apitest.ProvidersPath + "/" + made.Field(t, "id")
		s.Expect(http.StatusNoContent, s.Call("DELETE", path, access, nil))
		s.Expect(http.StatusNotFound, s.Call("DELETE", path, access, nil))
		if n := s.DB.Client.User.Query().Where(user.OauthIDNotNil()).CountX(principal.System(t.Context(),
			"test")); n != 0 {
			t.Errorf("%d are linked to what is not there", n)
		}
	})
}

// What has changed while a browser was away holds when it comes back (O-11).
func TestFlow_changesDuringItApplyAtItsEnd(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		i := apitest.NewIssuer(t)
		s := apitest.Start(t, opts, i.Configure("corporate"))
		s.ChangeSettings("acme", apitest.OpenToProviders)
		access, _ := s.Login()
		ctx := principal.System(t.Context(), "test")

		b := s.Browser()
		callback := b.UntilCallback(apitest.AuthorizeToApplication)
		s.Expect(http.StatusOK, s.Call("PATCH", "/api/v1/tenant", access,
			map[string]any{"settings": map[string]any{"redirect_uris": []string{}}}))
		if a := s.Expect(http.StatusBadRequest, b.Visit(callback)); a.Header.Get("Location") != "" {
			t.Errorf("redirected to %s", a.Header.Get("Location"))
		}
		// A user who was signed out, or has become a superuser, is not linked.
		ada := s.CreateUser("acme", "someone@acme.test", "member")
		callback = b.UntilCallback(b.BeginLink(apitest.LinkPath, ada.Access).Field(t, "authorization_url"))
		s.DB.Client.User.UpdateOne(ada.User).SetIsActive(false).ExecX(ctx)
		s.Expect(http.StatusUnauthorized, b.Visit(callback))
		s.DB.Client.User.UpdateOne(ada.User).SetIsActive(true).ExecX(ctx)

		callback = b.UntilCallback(apitest.AuthorizePath)
		calls := i.Called("/token")
		s.Expect(http.StatusCreated, s.Call("POST", apitest.ProvidersPath, access,
			apitest.ProviderBody("corporate", map[string]any{"issuer": i.URL, "client_id": "tenantry"})))
		if a := s.Expect(http.StatusBadRequest, b.Visit(callback)); a.Field(t, "code") != "provider_disabled" ||
			i.Called("/token") != calls {
			t.Errorf("answered %s", a.Body)
		}
		callback = b.UntilCallback(b.BeginLink(apitest.LinkPath, ada.Access).Field(t, "authorization_url"))
		s.DB.Client.User.UpdateOne(ada.User).SetIsSuperuser(true).ExecX(ctx)
		s.Expect(http.StatusForbidden, b.Visit(callback))
		if u := reloaded(s, ada.User); u.OauthID != nil {
			t.Error("it is linked")
		}
	})
}

// What a provider adds to its answer, and where the server is, changes nothing.
func TestProviderResponses_unusualFormsAreAccepted(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		i := apitest.NewIssuer(t)
		s := apitest.Start(t, opts, i.Configure("corporate"), func(c *config.Config) {
			c.PublicURL = "https://id.acme.test/identity"
		})
		s.ChangeSettings("acme", apitest.OpenToProviders)
		b := s.Browser()
		callback, err := url.Parse(b.UntilCallback(apitest.AuthorizeToApplication))
		if err != nil {
			t.Fatal(err)
		}
		refusal := url.Values{"state": {callback.Query().Get("state")}, "error": {"access_denied"},
			"error_description": {"AADSTS65004: \r\nTrace: \xe9"}}
		if landed := b.Submit(callback.Path, refusal).RedirectQuery(b); landed.Get("error") != "access_denied" {
			t.Errorf("arrived with %v", landed)
		}
		if callback.Path != "/identity/api/v1/auth/oauth/corporate/callback" {
			t.Errorf("redirected to %s", callback.Path)
		}
		for _, q := range []string{"?code_challenge_method=S256", "?code_challenge=" + fmt.Sprintf("%043d", 1)} {
			s.Expect(http.StatusBadRequest, s.Browser().Visit(apitest.AuthorizePath+q))
		}
	})
}
