package oauth_test

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"tenantry/internal/apitest"
	"tenantry/internal/config"
	"tenantry/internal/database"
	"tenantry/internal/database/dbtest"
	"tenantry/internal/principal"
)

// browserAt returns the browser at another instance: the cookies are those of the public URL.
func browserAt(b *apitest.Browser, s *apitest.Instance) *apitest.Browser {
	moved := &apitest.Browser{Instance: s}
	moved.Client = &http.Client{Jar: b.Jar, Transport: moved,
		CheckRedirect: func(*http.Request, []*http.Request) error {
			return http.ErrUseLastResponse
		}}
	return moved
}

func utcNow() time.Time { return time.Now().UTC() }

// repeatable starts two instances that share a provider and a database.
func repeatable(t testing.TB, opts database.Options, clock func() time.Time) (i *apitest.Issuer,
	s, second *apitest.Instance) {
	t.Helper()
	i = apitest.NewIssuer(t)
	i.Clock = clock
	s = apitest.StartAt(t, opts, clock, i.Configure("corporate"))
	second = apitest.StartAt(t, opts, clock, i.Configure("corporate"), func(c *config.Config) {
		c.BootstrapPassword = ""
	})
	s.ChangeSettings("acme", apitest.OpenToProviders)
	return i, s, second
}

// A browser that repeats its callback within a minute gets the same outcome, at every instance.
// There is one code and one session, and another browser gets nothing (O-01, O-02).
func TestCallback_repeatedGetsTheSameCode(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		clock := apitest.NewClock()
		i, s, second := repeatable(t, opts, clock.Now)
		b := s.Browser()

		callback := b.UntilCallback(apitest.AuthorizeToApplication)
		first := browserAt(b, s).Visit(callback)
		code := first.RedirectQuery(b).Get("code")
		for _, at := range []*apitest.Instance{s, second} {
			if again := browserAt(b, at).
				Visit(callback); again.Header.Get("Location") != first.Header.Get("Location") || code == "" {
				t.Errorf("redirected to %q, then to %q", first.Header.Get("Location"), again.Header.Get("Location"))
			}
			if a := s.Expect(http.StatusBadRequest,
				browserAt(s.Browser(), at).Visit(callback)); a.Header.Get("Location") != "" ||
				a.Field(t, "code") != "invalid_state" {
				t.Errorf("another browser gets %v %s", a.Header, a.Body)
			}
		}
		ctx := principal.System(t.Context(), "test")
		row := s.DB.Client.OAuthState.Query().OnlyX(ctx)
		if kept := fmt.Sprintf("%s %s %s %s", row.Outcome, row.StateHash, row.BrowserHash,
			row.RedirectURI); strings.Contains(kept, code) {
			t.Errorf("the code is stored: %s", kept)
		}
		if n := s.DB.Client.OneTimeToken.Query().CountX(ctx); n != 1 {
			t.Errorf("%d codes, want 1", n)
		}
		s.Expect(http.StatusOK, s.ExchangeCode(code))
		s.Expect(http.StatusSeeOther, browserAt(b, s).Visit(callback))
		s.Expect(http.StatusBadRequest, s.ExchangeCode(code))
		if n := s.Rows("refresh_tokens"); n != 1 || i.Called("/token") != 1 {
			t.Errorf("%d sessions after %d exchanges", n, i.Called("/token"))
		}
		clock.Advance(71 * time.Second)
		s.Expect(http.StatusBadRequest, browserAt(b, s).Visit(callback))
	})
}

// Refusals are repeated too, also those of a provider that fails.
func TestCallback_repeatedGetsTheSameRefusal(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		i, s, second := repeatable(t, opts, utcNow)
		b := s.Browser()
		for name, answer := range map[string]http.HandlerFunc{"invalid_request": text(`{"error":"invalid_grant"}`),
			"server_error": failing(http.StatusInternalServerError)} {
			i.Change(func() { i.Handlers["/token"] = answer })
			callback := b.UntilCallback(apitest.AuthorizeToApplication)
			first, again := browserAt(b, s).Visit(callback), browserAt(b, second).Visit(callback)
			if again.RedirectQuery(b).Get("error") != name ||
				again.Header.Get("Location") != first.Header.Get("Location") {
				t.Errorf("%s: redirected to %q, then to %q", name, first.Header.Get("Location"),
					again.Header.Get("Location"))
			}
			callback = b.UntilCallback(apitest.AuthorizePath)
			first, again = browserAt(b, s).Visit(callback), browserAt(b, second).Visit(callback)
			if again.Status != first.Status || again.Field(t, "code") != first.Field(t, "code") ||
				again.Field(t, "detail") != first.Field(t, "detail") {
				t.Errorf("%s: answered with %s, then with %s", name, first.Body, again.Body)
			}
		}
		i.Change(func() { delete(i.Handlers, "/token") })
		s.Expect(http.StatusOK, browserAt(b, s).Visit(b.UntilCallback(apitest.AuthorizePath)))
	})
}

// A callback that is repeated gets the tokens of one session, and a link is made once.
func TestCallback_repeatedGetsTheSameTokensOrLink(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		i, s, second := repeatable(t, opts, utcNow)
		b := s.Browser()

		// A flow without an address to come back to has tokens, which are those of one session,
		// until they are used.
		sessions := s.Rows("refresh_tokens")
		callback := b.UntilCallback(apitest.AuthorizePath)
		tokens := s.Expect(http.StatusOK, browserAt(b, s).Visit(callback))
		again := s.Expect(http.StatusOK, browserAt(b, second).Visit(callback))
		if again.Field(t, "refresh_token") != tokens.Field(t, "refresh_token") || s.Rows("refresh_tokens") != sessions+
			1 {
			t.Errorf("%d sessions: %s", s.Rows("refresh_tokens")-sessions, again.Body)
		}
		s.Expect(http.StatusOK, s.Refresh(again.Field(t, "refresh_token")))
		s.Expect(http.StatusBadRequest, browserAt(b, second).Visit(callback))
		s.Expect(http.StatusBadRequest, browserAt(s.Browser(), s).Visit(callback))

		// A link.
		ada := s.CreateUser("acme", "someone@acme.test", "member")
		i.Change(func() { i.Claims["sub"], i.Claims["email"] = "sub-2", "two@acme.test" })
		callback = b.UntilCallback(b.BeginLink(apitest.LinkPath, ada.Access).Field(t, "authorization_url"))
		s.Expect(http.StatusNoContent, browserAt(b, s).Visit(callback))
		s.Expect(http.StatusNoContent, browserAt(b, second).Visit(callback))
	})
}

// The flow is finished when the client leaves, and a callback that is repeated meanwhile waits for
// the outcome.
func TestCallback_whoseClientLeavesIsFinished(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		i := apitest.NewIssuer(t)
		s := apitest.Start(t, opts, i.Configure("corporate"))
		second := apitest.Start(t, opts, i.Configure("corporate"), func(c *config.Config) { c.BootstrapPassword = "" })
		s.ChangeSettings("acme", apitest.OpenToProviders)
		arrived, release := make(chan struct{}), make(chan struct{})
		i.Change(func() {
			i.Handlers["/token"] = func(w http.ResponseWriter, r *http.Request) {
				arrived <- struct{}{}
				<-release
				i.Change(func() { i.Exchange(w, r) })
			}
		})
		b := s.Browser()
		callback := b.UntilCallback(apitest.AuthorizeToApplication)
		ctx, leave := context.WithCancel(t.Context())
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL+callback, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range b.Jar.Cookies(&url.URL{Scheme: "https", Host: apitest.PublicHost, Path: "/"}) {
			r.AddCookie(c)
		}
		var all sync.WaitGroup
		all.Go(func() {
			if response, err := http.DefaultTransport.RoundTrip(r); err == nil {
				_ = response.Body.Close()
				t.Error("the client has not left")
			}
		})
		<-arrived
		leave()
		all.Wait()
		answers := make([]apitest.Answer, 2)
		for n, at := range []*apitest.Instance{s, second} {
			all.Go(func() { answers[n] = browserAt(b, at).Visit(callback) })
		}
		apitest.Eventually(t, "both callbacks wait", func() bool {
			row := s.DB.Client.OAuthState.Query().OnlyX(principal.System(t.Context(), "test"))
			return row.Callbacks == 3
		})
		close(release)
		all.Wait()
		code := answers[0].RedirectQuery(b).Get("code")
		if code == "" || answers[1].RedirectQuery(b).Get("code") != code || i.Called("/token") != 1 {
			t.Errorf("redirected to %q and %q after %d exchanges", answers[0].Header.Get("Location"),
				answers[1].Header.Get("Location"), i.Called("/token"))
		}
		s.Expect(http.StatusOK, s.ExchangeCode(code))
	})
}

// What goes wrong on the way of a browser is a redirect to the application or a page, and a problem
// for programs.
func TestCallback_errorsAreForPeople(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		i := apitest.NewIssuer(t)
		s := apitest.Start(t, opts, i.Configure("corporate"))
		s.ChangeSettings("acme", apitest.OpenToProviders)
		visit := func(path, accept string) apitest.Answer {
			r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL+path, http.NoBody)
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Accept", accept)
			return s.Send(r)
		}
		const ofABrowser = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
		callback := "/api/v1/auth/oauth/corporate/callback"
		for path, want := range map[string]struct {
			status int
			code   string
		}{
			callback + "?state=%3Cscript%3E&code=c":           {http.StatusBadRequest, "invalid_state"},
			callback + "?code=c":                              {http.StatusBadRequest, "invalid_parameter"},
			"/api/v1/auth/oauth/nobody/authorize":             {http.StatusNotFound, "not_found"},
			apitest.AuthorizePath + "?redirect_uri=https://x": {http.StatusBadRequest, "invalid_parameter"},
		} {
			page := s.Expect(want.status, visit(path, ofABrowser))
			if page.Header.Get("Content-Type") != "text/html; charset=utf-8" ||
				!strings.Contains(string(page.Body), "<code>"+want.code+"</code>") ||
				!strings.Contains(string(page.Body), page.Header.Get("X-Request-ID")) ||
				strings.Contains(string(page.Body), "<script") {
				t.Errorf("%s: %v %s", path, page.Header, page.Body)
			}
			for _, accept := range []string{"", "*/*", "application/json", "application/problem+json, text/html;q=0.5",
				"text/html;q=0", "text/html;q=x", "nonsense"} {
				if a := s.Expect(want.status, visit(path, accept)); a.Field(t, "code") != want.code {
					t.Errorf("%q: %s", accept, a.Body)
				}
			}
		}
		if a := visit("/api/v1/users/me", ofABrowser); a.Field(t, "code") != "unauthorized" {
			t.Errorf("an operation that no browser visits answers %s", a.Body)
		}
		i.Change(func() { i.Handlers["/token"] = failing(http.StatusInternalServerError) })
		b := s.Browser()
		if landed := b.Visit(apitest.AuthorizeToApplication).RedirectQuery(b); landed.Get("error") != "server_error" ||
			landed.Get("error_code") != "provider_failed" {
			t.Errorf("arrived with %v", landed)
		}
		if !strings.Contains(s.Logs.String(), "exchange the code: ") {
			t.Error("the cause is not in the log")
		}
	})
}
