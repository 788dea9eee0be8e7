package oauth_test

import (
	"net/http"
	"net/url"
	"testing"
	"time"

	"tenantry/internal/apitest"
	"tenantry/internal/database"
	"tenantry/internal/database/dbtest"
	"tenantry/internal/principal"
)

// O-10: linking and unlinking.
func TestLink_recentSignInLinksAndUnlinks(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		clock := apitest.NewClock().Now
		i := apitest.NewIssuer(t)
		i.Clock = clock
		s := apitest.StartAt(t, opts, clock, i.Configure("corporate"))
		s.ChangeSettings("acme", apitest.OpenToProviders)
		unlink := func(access string) apitest.Answer { return s.Call("DELETE", "/api/v1/auth/oauth/link", access, nil) }
		ada, bob := s.CreateUser("acme", "someone@acme.test", "member"), s.CreateUser("acme", "bob@acme.test", "member")
		i.Change(func() { i.Claims["email_verified"] = false })

		s.Expect(http.StatusNoContent, unlink(ada.Access)) // there is none
		s.Expect(http.StatusNoContent, s.Browser().Link(apitest.LinkPath, ada.Access))
		if a := s.Expect(http.StatusOK, s.Browser().Visit(apitest.AuthorizePath)); me(t, s,
			a)["id"] != ada.ID.String() {
			t.Errorf("another user has signed in: %s", a.Body)
		}
		s.Expect(http.StatusNoContent, s.Browser().Link(apitest.LinkPath, ada.Access)) // once more
		if a := s.Browser().Link(apitest.LinkPath, bob.Access); s.Expect(http.StatusConflict, a).Field(t,
			"code") != "identity_taken" {
			t.Errorf("refused with %s", a.Body)
		}
		i.Change(func() { i.Claims["sub"] = "sub-2" })
		if a := s.Browser().Link(apitest.LinkPath, ada.Access); s.Expect(http.StatusConflict, a).Field(t,
			"code") != "linked_already" {
			t.Errorf("refused with %s", a.Body)
		}
		b := s.Browser()
		if landed := b.Link(apitest.LinkPath+"?redirect_uri="+url.QueryEscape(apitest.ApplicationURL),
			bob.Access).RedirectQuery(b); landed.Get("linked") != "corporate" || len(landed) != 1 {
			t.Errorf("arrived with %v", landed)
		}

		// The last way in stays, and a code that the identity was good for dies with it.
		s.DB.Client.User.UpdateOne(bob.User).ClearPasswordHash().ExecX(principal.System(t.Context(), "test"))
		if a := unlink(bob.Access); s.Expect(http.StatusConflict, a).Field(t, "code") != "last_way_in" {
			t.Errorf("refused with %s", a.Body)
		}
		i.Change(func() { i.Claims["sub"] = "sub-1" })
		code := b.Visit(apitest.AuthorizePath + "?redirect_uri=" +
			url.QueryEscape(apitest.ApplicationURL)).RedirectQuery(b).Get("code")
		begun := s.Browser()
		under := begun.UntilCallback(begun.BeginLink(apitest.LinkPath, ada.Access).Field(t, "authorization_url"))
		other := s.SignIn("acme", ada.User)
		s.Expect(http.StatusNoContent, unlink(ada.Access))
		s.Expect(http.StatusUnauthorized, s.Call("POST", "/api/v1/auth/oauth/exchange", "",
			map[string]string{"code": code}))
		s.Expect(http.StatusUnauthorized, s.Call("GET", "/api/v1/users/me", other.Access,
			nil)) // the identity may have begun it
		s.Expect(http.StatusBadRequest, begun.Visit(under))
		if u := reloaded(s, ada.User); u.OauthID != nil || u.OauthProvider != nil {
			t.Error("it is still linked")
		}
	})
}

// O-10: neither a session that has ended nor a sign-in that is not recent links or unlinks.
func TestLink_endedSessionOrStaleSignInIsRefused(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		clock := apitest.NewClock()
		i := apitest.NewIssuer(t)
		i.Clock = clock.Now
		s := apitest.StartAt(t, opts, clock.Now, i.Configure("corporate"))
		s.ChangeSettings("acme", apitest.OpenToProviders)
		unlink := func(access string) apitest.Answer { return s.Call("DELETE", "/api/v1/auth/oauth/link", access, nil) }
		ada := s.CreateUser("acme", "someone@acme.test", "member")
		i.Change(func() { i.Claims["email_verified"] = false })

		// What a session has begun ends with it, in whatever browser.
		started := s.Browser()
		callback := started.UntilCallback(started.BeginLink(apitest.LinkPath, ada.Access).Field(t, "authorization_url"))
		s.Expect(http.StatusBadRequest, s.Browser().Visit(callback))
		s.Expect(http.StatusNoContent, s.Call("POST", "/api/v1/auth/logout-all", ada.Access, nil))
		s.Expect(http.StatusUnauthorized, started.Visit(callback))

		// Ten minutes later it wants a new sign-in.
		ada = s.SignIn("acme", ada.User)
		clock.Advance(11 * time.Minute)
		for _, a := range []apitest.Answer{unlink(ada.Access), s.Call("POST", apitest.LinkPath, ada.Access, nil)} {
			if s.Expect(http.StatusUnauthorized,
				a); a.Header.Get("WWW-Authenticate") != `Bearer error="insufficient_user_authentication"` {
				t.Errorf("refused with %v", a.Header)
			}
		}
		ada.Access = s.Expect(http.StatusOK, s.Refresh(ada.Refresh)).Field(t, "access_token")
		s.Expect(http.StatusUnauthorized, unlink(ada.Access)) // a refresh proves nothing
	})
}
