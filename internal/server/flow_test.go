package server_test

import (
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tenantry/internal/config"
	"tenantry/internal/database"
	"tenantry/internal/database/dbtest"
	"tenantry/internal/principal"
)

const authorizePath = "/api/v1/auth/oauth/corporate/authorize"

// returning follows a browser to the provider and back, and returns the path of the callback, which is not called yet.
func (b *browser) returning(path string) string {
	b.Helper()
	held := *b.Client
	held.CheckRedirect = func(r *http.Request, _ []*http.Request) error {
		if strings.HasSuffix(r.URL.Path, "/callback") {
			return http.ErrUseLastResponse
		}
		return nil
	}
	through := &browser{instance: b.instance, Client: &held}
	at, err := url.Parse(through.visit(path).header.Get("Location"))
	if err != nil || !strings.HasSuffix(at.Path, "/callback") {
		b.Fatalf("led to %s", at)
	}
	return at.RequestURI()
}

// O-01, O-02, O-05: a state is good once, for ten minutes, in the browser that began, at the provider it was made for.
func TestState_is_good_once_in_one_browser_at_one_provider(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		var ahead atomic.Int64
		advance := func(d time.Duration) { ahead.Add(int64(d)) }
		began := still()()
		now := func() time.Time { return began.Add(time.Duration(ahead.Load())) }
		i := newIssuer(t)
		i.clock = now
		s := startAt(t, opts, now, i.offer("corporate"), i.offer("second"))
		s.set("acme", welcoming)
		b, stranger := s.browser(), s.browser()
		refused := func(a answer) {
			t.Helper()
			if s.expect(http.StatusBadRequest, a).field(t, "code") != "invalid_state" {
				t.Errorf("refused with %s", a.body)
			}
		}
		callback := b.returning(authorizePath)
		refused(stranger.visit(callback))
		stranger.returning(authorizePath)
		refused(stranger.visit(callback)) // with a cookie of another flow
		refused(b.visit(strings.Replace(callback, "/corporate/", "/second/", 1)))
		refused(b.visit(strings.Replace(callback, "state=", "state=x", 1)))
		s.expect(http.StatusOK, b.visit(callback)) // none of them has burnt it
		refused(stranger.visit(callback))
		refused(b.visit(strings.Replace(callback, "/corporate/", "/second/", 1)))

		advance(10 * time.Minute)
		late := b.returning(authorizePath)
		advance(10*time.Minute - time.Microsecond)
		s.expect(http.StatusOK, b.visit(late))
		late = b.returning(authorizePath)
		advance(10 * time.Minute)
		refused(b.visit(late))

		// Flows in parallel tabs do not meet.
		first, second := b.returning(authorizePath), b.returning(authorizePath)
		s.expect(http.StatusOK, b.visit(second))
		s.expect(http.StatusOK, b.visit(first))

		// 50 at once: one of them exchanges the code, and there is one session.
		calls, sessions := i.called("/token"), s.rows("refresh_tokens")
		callback = b.returning(authorizePath)
		var statuses sync.Map
		var all sync.WaitGroup
		for range 50 {
			tab := &browser{instance: s}
			tab.Client = &http.Client{Jar: b.Jar, Transport: tab}
			all.Go(func() {
				n, _ := statuses.LoadOrStore(tab.visit(callback).status, new(int))
				s.log.mu.Lock()
				defer s.log.mu.Unlock()
				*n.(*int)++
			})
		}
		all.Wait()
		if n, _ := statuses.Load(http.StatusOK); n == nil || *n.(*int) != 50 || i.called("/token") != calls+1 || s.rows("refresh_tokens") != sessions+1 {
			t.Errorf("%d exchanges and %d sessions of 50 callbacks", i.called("/token")-calls, s.rows("refresh_tokens")-sessions)
		}
	})
}

// O-03, O-04, O-14: what is sent to the provider, and what is not.
func TestAuthorization_request_has_what_it_must_and_no_more(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		i := newIssuer(t)
		s := start(t, opts, i.offer("corporate"))
		s.set("acme", welcoming)
		b := s.browser()
		held := *b.Client
		held.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
		b.Client = &held
		seen := map[string]bool{}
		for range 100 {
			a := s.expect(http.StatusSeeOther, b.visit(authorizePath+"?redirect_uri="+url.QueryEscape(application)))
			to, err := url.Parse(a.header.Get("Location"))
			if err != nil {
				t.Fatal(err)
			}
			q := to.Query()
			for name, want := range map[string]string{
				"response_type": "code", "client_id": "tenantry", "code_challenge_method": "S256", "scope": "openid email profile",
				"redirect_uri": "https://id.acme.test/api/v1/auth/oauth/corporate/callback",
			} {
				if q.Get(name) != want {
					t.Errorf("%s is %q, want %q", name, q.Get(name), want)
				}
			}
			for _, name := range []string{"state", "nonce", "code_challenge"} {
				if len(q.Get(name)) != 43 || seen[q.Get(name)] {
					t.Errorf("%s is %q", name, q.Get(name))
				}
				seen[q.Get(name)] = true
			}
			if len(q) != 8 || to.Path != "/authorize" || strings.Contains(to.RawQuery, "app.acme.test") {
				t.Errorf("sent to %s", to)
			}
			cookie, err := http.ParseSetCookie(a.header.Get("Set-Cookie"))
			if err != nil || !strings.HasPrefix(cookie.Name, "__Host-") || !cookie.Secure || !cookie.HttpOnly || cookie.Path != "/" || cookie.Domain != "" ||
				cookie.SameSite != http.SameSiteLaxMode || cookie.MaxAge != 600 || seen[cookie.Value] || len(cookie.Value) != 43 {
				t.Errorf("cookie %v", cookie)
			}
			seen[cookie.Value] = true
			if a.header.Get("Cache-Control") != "no-store" || a.header.Get("Referrer-Policy") != "no-referrer" {
				t.Errorf("header %v", a.header)
			}
		}
		for _, row := range s.db.Client.OAuthState.Query().AllX(principal.System(t.Context(), "test")) {
			if seen[string(row.StateHash)] || seen[string(row.BrowserHash)] || len(row.StateHash) != 32 || seen[row.CodeVerifier] {
				t.Error("a secret is stored in clear")
			}
		}
	})
}

// Nothing that lets anybody in is ever part of an address, and nothing of it is logged.
func TestTokens_are_in_no_address_and_no_log(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		i := newIssuer(t)
		s := start(t, opts, i.offer("corporate"))
		s.set("acme", welcoming)
		b := s.browser()
		landed := b.visit(authorizePath + "?redirect_uri=" + url.QueryEscape(application))
		code := landed.arrival(b).Get("code")
		tokens := s.expect(http.StatusOK, s.call("POST", "/api/v1/auth/oauth/exchange", "", map[string]string{"code": code}))
		secrets := []string{tokens.field(t, "access_token"), tokens.field(t, "refresh_token")}
		for _, hop := range append(b.hops, landed) {
			for _, secret := range secrets {
				if strings.Contains(hop.header.Get("Location"), secret) {
					t.Errorf("led to %s", hop.header.Get("Location"))
				}
			}
		}
		if !strings.HasPrefix(landed.header.Get("Location"), application+"?code=") || landed.header.Get("Cache-Control") != "no-store" {
			t.Errorf("landed at %v", landed.header)
		}
		for _, secret := range append(secrets, code, "a secret of the provider") {
			if strings.Contains(s.log.String(), secret) {
				t.Errorf("the log contains %q", secret)
			}
		}
	})
}

func TestProvider_that_refuses_is_told_by_the_book(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		i := newIssuer(t)
		s := start(t, opts, i.offer("corporate"))
		s.set("acme", welcoming)
		for _, test := range []struct {
			says, want string
			status     int
		}{
			{"access_denied", "access_denied", http.StatusBadRequest}, {"login_required", "login_required", http.StatusBadRequest},
			{"temporarily_unavailable", "temporarily_unavailable", http.StatusBadGateway}, {"<script>", "server_error", http.StatusBadGateway},
			{"user_cancelled_authorize", "access_denied", http.StatusBadRequest}, {"user_cancelled_login", "access_denied", http.StatusBadRequest},
			{"user_cancelled", "access_denied", http.StatusBadRequest}, {"user_denied", "access_denied", http.StatusBadRequest},
		} {
			i.change(func() {
				i.answer["/authorize"] = func(w http.ResponseWriter, r *http.Request) {
					to := url.Values{"error": {test.says}, "error_description": {"canary"}, "state": {r.URL.Query().Get("state")}}
					http.Redirect(w, r, r.URL.Query().Get("redirect_uri")+"?"+to.Encode(), http.StatusFound)
				}
			})
			b := s.browser()
			if a := s.expect(test.status, b.visit(authorizePath)); a.field(t, "code") != test.want || strings.Contains(string(a.body), "canary") {
				t.Errorf("%s: %s", test.says, a.body)
			}
			landed := b.visit(authorizePath + "?redirect_uri=" + url.QueryEscape(application)).arrival(b)
			if landed.Get("error") != test.want || landed.Get("error_description") == "" || landed.Has("code") || strings.Contains(landed.Encode(), "canary") {
				t.Errorf("%s: arrived with %v", test.says, landed)
			}
		}
	})
}

// Apple answers in a form, with which a browser sends no cookie.
func TestAnswer_in_a_form_is_led_to_the_callback(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		i := newIssuer(t)
		s := start(t, opts, i.offer("corporate"))
		s.set("acme", welcoming)
		b := s.browser()
		callback, err := url.Parse(b.returning(authorizePath))
		if err != nil {
			t.Fatal(err)
		}
		s.expect(http.StatusOK, b.submit(callback.Path, callback.Query()))
		for _, form := range []url.Values{{}, {"state": {""}}, {"state": {"a", "b"}}, {"state": {"a\x00"}}, {"state": {strings.Repeat("a", 513)}}, {"state": {"\xff"}}} {
			if a := b.submit(callback.Path, form); a.status != http.StatusBadRequest && a.status != http.StatusUnprocessableEntity {
				t.Errorf("%v: %d", form, a.status)
			}
		}
		s.expect(http.StatusUnsupportedMediaType, s.call("POST", callback.Path, "", `{"state":"a"}`))
	})
}

func (s *instance) rows(table string) int64 {
	s.Helper()
	n, err := s.db.CountRows(s.Context(), table)
	if err != nil {
		s.Fatal(err)
	}
	return n
}

func TestStatement_budgets_of_OAuth(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		i := newIssuer(t)
		s := start(t, opts, i.offer("corporate"), func(c *config.Config) { c.NetworkFlows = 300 })
		s.set("acme", welcoming)
		b := s.browser()
		with := authorizePath + "?redirect_uri=" + url.QueryEscape(application)
		const warm = "2"
		for _, test := range []struct{ name, path, authorize, callback string }{
			{"first", with, warm, "7"}, {"again", with, warm, "5"}, {"again_without_address", authorizePath, warm, "6"},
		} {
			s.server.CatchUp()
			before := s.rows("oauth_states")
			b.returning(test.path)
			if n := s.rows("oauth_states") - before; n != 1 {
				t.Errorf("%s: authorize has written %d rows", test.name, n)
			}
			s.server.CatchUp()
			b.visit(test.path)
			if len(b.hops) != 2 || b.hops[0].statements(t) != test.authorize || b.hops[1].statements(t) != test.callback {
				t.Errorf("%s: %s and %s statements", test.name, b.hops[0].statements(t), b.hops[1].statements(t))
			}
		}
		code := b.visit(with).arrival(b).Get("code")
		a := s.expect(http.StatusOK, s.call("POST", "/api/v1/auth/oauth/exchange", "", map[string]string{"code": code}))
		if n := a.statements(t); n != "3" {
			t.Errorf("exchange: %s statements", n)
		}
		access := a.field(t, "access_token")
		s.server.Forget()
		if n := s.call("POST", "/api/v1/auth/oauth/corporate/link", access, nil).statements(t); n != "3" {
			t.Errorf("link: %s statements", n)
		}
		s.server.Forget()
		if n := s.call("DELETE", "/api/v1/auth/oauth/link", access, nil).statements(t); n != "3" {
			t.Errorf("unlink of the last way in: %s statements", n)
		}
		i.change(func() { i.person = map[string]any{"sub": "sub-2", "email": "second@acme.test"} })
		b.visit(authorizePath)
		if n := b.hops[1].statements(t); n != "8" {
			t.Errorf("first without address: %s statements", n)
		}
		i.change(func() { i.person["sub"] = "sub-3" })
		owner, _ := s.login()
		begun := b.beginLink(linkPath, owner)
		s.server.Forget()
		s.expect(http.StatusNoContent, b.visit(begun.field(t, "authorization_url")))
		if n := b.hops[0].statements(t); n != "5" {
			t.Errorf("end of a link: %s statements", n)
		}
		s.server.Forget()
		if n := s.expect(http.StatusNoContent, s.call("DELETE", "/api/v1/auth/oauth/link", owner, nil)).statements(t); n != "5" {
			t.Errorf("unlink: %s statements", n)
		}
	})
}
