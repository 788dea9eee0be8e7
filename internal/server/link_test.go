package server_test

import (
	"net/http"
	"net/url"
	"sync"
	"testing"
	"time"

	"tenantry/internal/database"
	"tenantry/internal/database/dbtest"
	"tenantry/internal/principal"
)

// beginLink asks, with a session, for the address that a link begins at.
func (b *browser) beginLink(path, access string) answer {
	b.Helper()
	r, err := http.NewRequestWithContext(b.Context(), "POST", "https://"+publicHost+path, http.NoBody)
	if err != nil {
		b.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+access)
	response, err := b.Do(r)
	if err != nil {
		b.Fatal(err)
	}
	defer response.Body.Close()
	return b.hops[len(b.hops)-1]
}

// linked begins to link and follows the browser to the end.
func (b *browser) linked(path, access string) answer {
	b.Helper()
	begun := b.beginLink(path, access)
	if begun.status != http.StatusOK {
		return begun
	}
	return b.visit(begun.field(b.TB, "authorization_url"))
}

const linkPath = "/api/v1/auth/oauth/corporate/link"

// O-10: linking and unlinking.
func TestLink_is_made_and_removed_by_who_has_just_signed_in(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		now := time.Now().UTC()
		var mu sync.Mutex
		clock := func() time.Time {
			mu.Lock()
			defer mu.Unlock()
			return now
		}
		i := newIssuer(t)
		i.clock = clock
		s := startAt(t, opts, clock, i.offer("corporate"))
		s.set("acme", welcoming)
		unlink := func(access string) answer { return s.call("DELETE", "/api/v1/auth/oauth/link", access, nil) }
		ada, bob := s.join("acme", "someone@acme.test", "member"), s.join("acme", "bob@acme.test", "member")
		i.change(func() { i.person["email_verified"] = false })

		s.expect(http.StatusNoContent, unlink(ada.access)) // there is none
		s.expect(http.StatusNoContent, s.browser().linked(linkPath, ada.access))
		if a := s.expect(http.StatusOK, s.browser().visit(authorizePath)); me(t, s, a)["id"] != ada.ID.String() {
			t.Errorf("somebody else has signed in: %s", a.body)
		}
		s.expect(http.StatusNoContent, s.browser().linked(linkPath, ada.access)) // once more
		if a := s.browser().linked(linkPath, bob.access); s.expect(http.StatusConflict, a).field(t, "code") != "identity_taken" {
			t.Errorf("refused with %s", a.body)
		}
		i.change(func() { i.person["sub"] = "sub-2" })
		if a := s.browser().linked(linkPath, ada.access); s.expect(http.StatusConflict, a).field(t, "code") != "linked_already" {
			t.Errorf("refused with %s", a.body)
		}
		b := s.browser()
		if landed := b.linked(linkPath+"?redirect_uri="+url.QueryEscape(application), bob.access).arrival(b); landed.Get("linked") != "corporate" || len(landed) != 1 {
			t.Errorf("arrived with %v", landed)
		}

		// The last way in stays, and a code that the identity was good for dies with it.
		s.db.Client.User.UpdateOne(bob.User).ClearPasswordHash().ExecX(principal.System(t.Context(), "test"))
		if a := unlink(bob.access); s.expect(http.StatusConflict, a).field(t, "code") != "last_way_in" {
			t.Errorf("refused with %s", a.body)
		}
		i.change(func() { i.person["sub"] = "sub-1" })
		code := b.visit(authorizePath + "?redirect_uri=" + url.QueryEscape(application)).arrival(b).Get("code")
		begun := s.browser()
		under := begun.returning(begun.beginLink(linkPath, ada.access).field(t, "authorization_url"))
		other := s.signIn("acme", ada.User)
		s.expect(http.StatusNoContent, unlink(ada.access))
		s.expect(http.StatusUnauthorized, s.call("POST", "/api/v1/auth/oauth/exchange", "", map[string]string{"code": code}))
		s.expect(http.StatusUnauthorized, s.call("GET", "/api/v1/users/me", other.access, nil)) // the identity may have begun it
		s.expect(http.StatusBadRequest, begun.visit(under))
		if u := s.reloaded(ada.User); u.OauthID != nil || u.OauthProvider != nil {
			t.Error("it is still linked")
		}

		// What a session has begun ends with it, in whatever browser.
		started := s.browser()
		callback := started.returning(started.beginLink(linkPath, ada.access).field(t, "authorization_url"))
		s.expect(http.StatusBadRequest, s.browser().visit(callback))
		s.expect(http.StatusNoContent, s.call("POST", "/api/v1/auth/logout-all", ada.access, nil))
		s.expect(http.StatusUnauthorized, started.visit(callback))

		// Ten minutes later it wants a new sign-in.
		ada = s.signIn("acme", ada.User)
		mu.Lock()
		now = now.Add(11 * time.Minute)
		mu.Unlock()
		for _, a := range []answer{unlink(ada.access), s.call("POST", linkPath, ada.access, nil)} {
			if s.expect(http.StatusUnauthorized, a); a.header.Get("WWW-Authenticate") != `Bearer error="insufficient_user_authentication"` {
				t.Errorf("refused with %v", a.header)
			}
		}
		ada.access = s.expect(http.StatusOK, s.refresh(ada.refresh)).field(t, "access_token")
		s.expect(http.StatusUnauthorized, unlink(ada.access)) // a refresh proves nothing
	})
}
