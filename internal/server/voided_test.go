package server_test

import (
	"crypto/sha256"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"testing"
	"time"

	"tenantry/ent/user"
	"tenantry/internal/config"
	"tenantry/internal/database"
	"tenantry/internal/database/dbtest"
	"tenantry/internal/principal"
)

const withAddress = authorizePath + "?redirect_uri=https%3A%2F%2Fapp.acme.test%2Fsigned-in"

func (s *instance) exchange(code string) answer {
	s.Helper()
	return s.call("POST", "/api/v1/auth/oauth/exchange", "", map[string]string{"code": code})
}

// A code is good for a minute, for what it was issued for, and for nobody who was shut out meanwhile.
func TestCode_is_void_after_whatever_voids_a_session(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		var mu sync.Mutex
		ahead := time.Duration(0)
		clock := func() time.Time {
			mu.Lock()
			defer mu.Unlock()
			return time.Now().UTC().Add(ahead)
		}
		i := newIssuer(t)
		i.clock = clock
		s := startAt(t, opts, clock, i.offer("corporate"))
		s.set("acme", welcoming)
		b := s.browser()
		ada := s.join("acme", "someone@acme.test", "member")
		s.expect(http.StatusNoContent, s.browser().linked(linkPath, ada.access))
		code := func() string { return b.visit(withAddress).arrival(b).Get("code") }

		before := code()
		s.expect(http.StatusNoContent, s.call("POST", "/api/v1/auth/logout-all", ada.access, nil))
		s.expect(http.StatusBadRequest, s.exchange(before))
		before = code()
		ada = s.signIn("acme", ada.User)
		s.expect(http.StatusNoContent, s.call("POST", "/api/v1/auth/password", ada.access,
			map[string]string{"current_password": ownerPassword, "new_password": "another horse battery staple"}))
		s.expect(http.StatusUnauthorized, s.exchange(before))

		before = code()
		mu.Lock()
		ahead += time.Minute + time.Second
		mu.Unlock()
		s.expect(http.StatusBadRequest, s.exchange(before))
		s.expect(http.StatusOK, s.exchange(code()))
		if a := s.call("POST", "/api/v1/auth/oauth/exchange", "", map[string]string{"code": code(), "code_verifier": fmt.Sprintf("%043d", 1)}); a.status != http.StatusBadRequest {
			t.Errorf("a verifier without challenge: %d", a.status)
		}
		ctx := principal.System(t.Context(), "test")
		hash := sha256.Sum256([]byte("another purpose"))
		s.db.Client.OneTimeToken.Create().SetTenantID(ada.TenantID).SetUserID(ada.ID).SetPurpose("invitation").SetTokenHash(hash[:]).
			SetExpiresAt(clock().Add(time.Hour)).SaveX(ctx)
		s.expect(http.StatusBadRequest, s.exchange("another purpose"))
	})
}

// O-09 in a race: a squatter who calls back beside the owner of the address never has a session in the owner's account.
func TestSquatter_beside_the_owner_gets_nothing(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		loose, strict := newIssuer(t), newIssuer(t)
		s := start(t, opts, loose.offer("loose"), strict.offer("corporate"))
		s.set("acme", welcoming)
		for round := range 15 {
			address := fmt.Sprintf("victim%d@acme.test", round)
			loose.change(func() { loose.person = map[string]any{"sub": fmt.Sprint("squatter", round), "email": address} })
			strict.change(func() {
				strict.person = map[string]any{"sub": fmt.Sprint("owner", round), "email": address, "email_verified": true}
			})
			s.expect(http.StatusOK, s.browser().visit("/api/v1/auth/oauth/loose/authorize"))
			squatters := make([]*browser, 6)
			callbacks := make([]string, len(squatters))
			for n := range squatters {
				squatters[n] = s.browser()
				callbacks[n] = squatters[n].returning("/api/v1/auth/oauth/loose/authorize" + []string{"", "?redirect_uri=" + url.QueryEscape(application)}[n%2])
			}
			owner := s.browser()
			callback := owner.returning(authorizePath)
			answers := make([]answer, len(squatters))
			var all sync.WaitGroup
			for n, b := range squatters {
				all.Go(func() {
					time.Sleep(time.Duration(n) * time.Millisecond)
					answers[n] = b.visit(callbacks[n])
				})
			}
			all.Go(func() { s.expect(http.StatusOK, owner.visit(callback)) })
			all.Wait()
			for n, a := range answers {
				if a.status == http.StatusSeeOther {
					a = s.exchange(a.arrival(squatters[n]).Get("code"))
				}
				if a.status == http.StatusOK {
					s.expect(http.StatusUnauthorized, s.call("GET", "/api/v1/users/me", a.field(t, "access_token"), nil))
					s.expect(http.StatusUnauthorized, s.refresh(a.field(t, "refresh_token")))
				}
			}
		}
	})
}

// Whoever may set up a provider is not therefore everybody in the tenant (T-04).
func TestProvider_of_a_tenant_is_nobody_by_address(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		i := newIssuer(t)
		s := start(t, opts, loopback)
		s.set("acme", welcoming)
		access, _ := s.login()
		made := s.expect(http.StatusCreated, s.call("POST", providersPath, access, provider("corporate", map[string]any{"issuer": i.URL, "client_id": "tenantry"})))
		for _, verified := range []bool{true, false} {
			owner := s.join("acme", fmt.Sprintf("owner-%t@acme.test", verified), "owner")
			if verified {
				s.db.Client.User.UpdateOne(owner.User).SetEmailVerifiedAt(time.Now()).ExecX(principal.System(t.Context(), "test"))
			}
			i.change(func() { i.person["email"] = owner.Email })
			s.expect(http.StatusConflict, s.browser().visit(authorizePath))
			s.expect(http.StatusOK, s.call("GET", "/api/v1/users/me", owner.access, nil))
		}

		// What it has linked goes with it, so that nobody is shut out by a provider that is not there.
		i.change(func() { i.person["email"] = "ada@acme.test" })
		s.expect(http.StatusOK, s.browser().visit(authorizePath))
		path := providersPath + "/" + made.field(t, "id")
		s.expect(http.StatusNoContent, s.call("DELETE", path, access, nil))
		s.expect(http.StatusNotFound, s.call("DELETE", path, access, nil))
		if n := s.db.Client.User.Query().Where(user.OauthIDNotNil()).CountX(principal.System(t.Context(), "test")); n != 0 {
			t.Errorf("%d are linked to what is not there", n)
		}
	})
}

// What has changed while a browser was away holds when it comes back (O-11).
func TestChanges_in_the_middle_of_a_flow_hold_at_its_end(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		i := newIssuer(t)
		s := start(t, opts, i.offer("corporate"))
		s.set("acme", welcoming)
		access, _ := s.login()
		ctx := principal.System(t.Context(), "test")

		b := s.browser()
		callback := b.returning(withAddress)
		s.expect(http.StatusOK, s.call("PATCH", "/api/v1/tenant", access, map[string]any{"settings": map[string]any{"redirect_uris": []string{}}}))
		if a := s.expect(http.StatusBadRequest, b.visit(callback)); a.header.Get("Location") != "" {
			t.Errorf("led to %s", a.header.Get("Location"))
		}
		// Somebody who is shut out, or is above the tenant by now, is not linked.
		ada := s.join("acme", "someone@acme.test", "member")
		callback = b.returning(b.beginLink(linkPath, ada.access).field(t, "authorization_url"))
		s.db.Client.User.UpdateOne(ada.User).SetIsActive(false).ExecX(ctx)
		s.expect(http.StatusUnauthorized, b.visit(callback))
		s.db.Client.User.UpdateOne(ada.User).SetIsActive(true).ExecX(ctx)

		callback = b.returning(authorizePath)
		calls := i.called("/token")
		s.expect(http.StatusCreated, s.call("POST", providersPath, access, provider("corporate", map[string]any{"issuer": i.URL, "client_id": "tenantry"})))
		if a := s.expect(http.StatusBadRequest, b.visit(callback)); a.field(t, "code") != "provider_disabled" || i.called("/token") != calls {
			t.Errorf("answered %s", a.body)
		}
		callback = b.returning(b.beginLink(linkPath, ada.access).field(t, "authorization_url"))
		s.db.Client.User.UpdateOne(ada.User).SetIsSuperuser(true).ExecX(ctx)
		s.expect(http.StatusForbidden, b.visit(callback))
		if u := s.reloaded(ada.User); u.OauthID != nil {
			t.Error("it is linked")
		}
	})
}

// What a provider adds to its answer, and where the server is, changes nothing.
func TestAnswers_of_providers_are_taken_as_they_come(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		i := newIssuer(t)
		s := start(t, opts, i.offer("corporate"), func(c *config.Config) { c.PublicURL = "https://id.acme.test/identity" })
		s.set("acme", welcoming)
		b := s.browser()
		callback, err := url.Parse(b.returning(withAddress))
		if err != nil {
			t.Fatal(err)
		}
		refusal := url.Values{"state": {callback.Query().Get("state")}, "error": {"access_denied"}, "error_description": {"AADSTS65004: \r\nTrace: \xe9"}}
		if landed := b.submit(callback.Path, refusal).arrival(b); landed.Get("error") != "access_denied" {
			t.Errorf("arrived with %v", landed)
		}
		if callback.Path != "/identity/api/v1/auth/oauth/corporate/callback" {
			t.Errorf("led to %s", callback.Path)
		}
		for _, q := range []string{"?code_challenge_method=S256", "?code_challenge=" + fmt.Sprintf("%043d", 1)} {
			s.expect(http.StatusBadRequest, s.browser().visit(authorizePath+q))
		}
	})
}
