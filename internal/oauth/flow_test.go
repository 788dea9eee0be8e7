package oauth_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"tenantry/internal/apitest"
	"tenantry/internal/config"
	"tenantry/internal/database"
	"tenantry/internal/database/dbtest"
	"tenantry/internal/principal"
)

// O-03, O-04, O-14: what is sent to the provider, and what is not.
func TestAuthorizationRequest_hasExactlyTheRequiredParameters(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		i := apitest.NewIssuer(t)
		s := apitest.Start(t, opts, i.Configure("corporate"))
		s.ChangeSettings("acme", apitest.OpenToProviders)
		b := s.Browser()
		held := *b.Client
		held.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
		b.Client = &held
		seen := map[string]bool{}
		for range 100 {
			a := s.Expect(http.StatusSeeOther,
				b.Visit(apitest.AuthorizePath+"?redirect_uri="+url.QueryEscape(apitest.ApplicationURL)))
			to, err := url.Parse(a.Header.Get("Location"))
			if err != nil {
				t.Fatal(err)
			}
			q := to.Query()
			for name, want := range map[string]string{
				"response_type": "code", "client_id": "tenantry", "code_challenge_method": "S256",
				"scope":        "openid email profile",
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
			cookie, err := http.ParseSetCookie(a.Header.Get("Set-Cookie"))
			if err != nil || !strings.HasPrefix(cookie.Name, "__Host-") || !cookie.Secure || !cookie.HttpOnly ||
				cookie.Path != "/" || cookie.Domain != "" ||
				cookie.SameSite != http.SameSiteLaxMode || cookie.MaxAge != 600 || seen[cookie.Value] ||
				len(cookie.Value) != 43 {
				t.Errorf("cookie %v", cookie)
			}
			seen[cookie.Value] = true
			if a.Header.Get("Cache-Control") != "no-store" || a.Header.Get("Referrer-Policy") != "no-referrer" {
				t.Errorf("header %v", a.Header)
			}
		}
		for _, row := range s.DB.Client.OAuthState.Query().AllX(principal.System(t.Context(), "test")) {
			if seen[string(row.StateHash)] || seen[string(row.BrowserHash)] || len(row.StateHash) != 32 ||
				seen[row.CodeVerifier] {
				t.Error("a secret is stored in clear")
			}
		}
	})
}

// Nothing that lets anybody in is ever part of an address, and nothing of it is logged.
func TestTokens_areInNoURLAndNoLog(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		i := apitest.NewIssuer(t)
		s := apitest.Start(t, opts, i.Configure("corporate"))
		s.ChangeSettings("acme", apitest.OpenToProviders)
		b := s.Browser()
		landed := b.Visit(apitest.AuthorizePath + "?redirect_uri=" + url.QueryEscape(apitest.ApplicationURL))
		code := landed.RedirectQuery(b).Get("code")
		tokens := s.Expect(http.StatusOK, s.Call("POST", "/api/v1/auth/oauth/exchange", "",
			map[string]string{"code": code}))
		secrets := []string{tokens.Field(t, "access_token"), tokens.Field(t, "refresh_token")}
		for _, hop := range append(b.Hops, landed) {
			for _, secret := range secrets {
				if strings.Contains(hop.Header.Get("Location"), secret) {
					t.Errorf("redirected to %s", hop.Header.Get("Location"))
				}
			}
		}
		if !strings.HasPrefix(landed.Header.Get("Location"), apitest.ApplicationURL+"?code=") ||
			landed.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("landed at %v", landed.Header)
		}
		for _, secret := range append(secrets, code, "a secret of the provider") {
			if strings.Contains(s.Logs.String(), secret) {
				t.Errorf("the log contains %q", secret)
			}
		}
	})
}

func TestCallback_errorOfTheProviderIsPassedOn(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		i := apitest.NewIssuer(t)
		s := apitest.Start(t, opts, i.Configure("corporate"))
		s.ChangeSettings("acme", apitest.OpenToProviders)
		for _, test := range []struct {
			says, want string
			status     int
		}{
			{"access_denied", "access_denied", http.StatusBadRequest},
			{"login_required", "login_required", http.StatusBadRequest},
			{"temporarily_unavailable", "temporarily_unavailable", http.StatusBadGateway},
			{"<script>", "server_error", http.StatusBadGateway},
			{"user_cancelled_authorize", "access_denied", http.StatusBadRequest},
			{"user_cancelled_login", "access_denied", http.StatusBadRequest},
			{"user_cancelled", "access_denied", http.StatusBadRequest},
			{"user_denied", "access_denied", http.StatusBadRequest},
		} {
			i.Change(func() {
				i.Handlers["/authorize"] = func(w http.ResponseWriter, r *http.Request) {
					to := url.Values{"error": {test.says}, "error_description": {"canary"},
						"state": {r.URL.Query().Get("state")}}
					http.Redirect(w, r, r.URL.Query().Get("redirect_uri")+"?"+to.Encode(), http.StatusFound)
				}
			})
			b := s.Browser()
			if a := s.Expect(test.status, b.Visit(apitest.AuthorizePath)); a.Field(t, "code") != test.want ||
				strings.Contains(string(a.Body), "canary") {
				t.Errorf("%s: %s", test.says, a.Body)
			}
			landed := b.Visit(apitest.AuthorizePath + "?redirect_uri=" +
				url.QueryEscape(apitest.ApplicationURL)).RedirectQuery(b)
			if landed.Get("error") != test.want || landed.Get("error_description") == "" || landed.Has("code") ||
				strings.Contains(landed.Encode(), "canary") {
				t.Errorf("%s: arrived with %v", test.says, landed)
			}
		}
	})
}

// Apple answers in a form, with which a browser sends no cookie.
func TestFormResponse_isRedirectedToTheCallback(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		i := apitest.NewIssuer(t)
		s := apitest.Start(t, opts, i.Configure("corporate"))
		s.ChangeSettings("acme", apitest.OpenToProviders)
		b := s.Browser()
		callback, err := url.Parse(b.UntilCallback(apitest.AuthorizePath))
		if err != nil {
			t.Fatal(err)
		}
		s.Expect(http.StatusOK, b.Submit(callback.Path, callback.Query()))
		for _, form := range []url.Values{{}, {"state": {""}}, {"state": {"a", "b"}}, {"state": {"a\x00"}},
			{"state": {strings.Repeat("a", 513)}}, {"state": {"\xff"}}} {
			if a := b.Submit(callback.Path, form); a.Status != http.StatusBadRequest &&
				a.Status != http.StatusUnprocessableEntity {
				t.Errorf("%v: %d", form, a.Status)
			}
		}
		s.Expect(http.StatusUnsupportedMediaType, s.Call("POST", callback.Path, "", `{"state":"a"}`))
	})
}

func TestStatementBudgets_ofOAuth(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		i := apitest.NewIssuer(t)
		s := apitest.Start(t, opts, i.Configure("corporate"), func(c *config.Config) { c.NetworkFlows = 300 })
		s.ChangeSettings("acme", apitest.OpenToProviders)
		b := s.Browser()
		with := apitest.AuthorizePath + "?redirect_uri=" + url.QueryEscape(apitest.ApplicationURL)
		const warm = "2"
		for _, test := range []struct{ name, path, authorize, callback string }{
			{"first", with, warm, "7"}, {"again", with, warm, "5"}, {"again_without_address", apitest.AuthorizePath,
				warm, "6"},
		} {
			s.CatchUp()
			before := s.Rows("oauth_states")
			b.UntilCallback(test.path)
			if n := s.Rows("oauth_states") - before; n != 1 {
				t.Errorf("%s: authorize has written %d rows", test.name, n)
			}
			s.CatchUp()
			b.Visit(test.path)
			if len(b.Hops) != 2 || b.Hops[0].Statements(t) != test.authorize ||
				b.Hops[1].Statements(t) != test.callback {
				t.Errorf("%s: %s and %s statements", test.name, b.Hops[0].Statements(t), b.Hops[1].Statements(t))
			}
		}
		code := b.Visit(with).RedirectQuery(b).Get("code")
		a := s.Expect(http.StatusOK, s.Call("POST", "/api/v1/auth/oauth/exchange", "", map[string]string{"code": code}))
		if n := a.Statements(t); n != "3" {
			t.Errorf("exchange: %s statements", n)
		}
		access := a.Field(t, "access_token")
		s.Forget()
		if n := s.Call("POST", "/api/v1/auth/oauth/corporate/link", access, nil).Statements(t); n != "3" {
			t.Errorf("link: %s statements", n)
		}
		s.Forget()
		if n := s.Call("DELETE", "/api/v1/auth/oauth/link", access, nil).Statements(t); n != "3" {
			t.Errorf("unlink of the last way in: %s statements", n)
		}
		i.Change(func() { i.Claims = map[string]any{"sub": "sub-2", "email": "second@acme.test"} })
		b.Visit(apitest.AuthorizePath)
		if n := b.Hops[1].Statements(t); n != "8" {
			t.Errorf("first without address: %s statements", n)
		}
		i.Change(func() { i.Claims["sub"] = "sub-3" })
		owner, _ := s.Login()
		begun := b.BeginLink(apitest.LinkPath, owner)
		s.Forget()
		s.Expect(http.StatusNoContent, b.Visit(begun.Field(t, "authorization_url")))
		if n := b.Hops[0].Statements(t); n != "5" {
			t.Errorf("end of a link: %s statements", n)
		}
		s.Forget()
		if n := s.Expect(http.StatusNoContent, s.Call("DELETE", "/api/v1/auth/oauth/link", owner,
			nil)).Statements(t); n != "5" {
			t.Errorf("unlink: %s statements", n)
		}
	})
}
