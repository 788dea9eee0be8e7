package server_test

import (
	"context"
	"fmt"
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

// at returns the browser at another instance: the cookies are those of the public URL.
func (b *browser) at(s *instance) *browser {
	moved := &browser{instance: s}
	moved.Client = &http.Client{Jar: b.Jar, Transport: moved, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return moved
}

// A browser that repeats its callback within a minute gets the same outcome, at every instance. There is one code and one session, and
// another browser gets nothing (O-01, O-02).
func TestCallback_repeatedGetsTheSameOutcome(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		var ahead atomic.Int64
		now := func() time.Time { return time.Now().UTC().Add(time.Duration(ahead.Load())) }
		i := newIssuer(t)
		i.clock = now
		s := startAt(t, opts, now, i.offer("corporate"))
		second := startAt(t, opts, now, i.offer("corporate"), func(c *config.Config) { c.BootstrapPassword = "" })
		s.set("acme", welcoming)
		b := s.browser()

		callback := b.returning(withAddress)
		first := b.at(s).visit(callback)
		code := first.arrival(b).Get("code")
		for _, at := range []*instance{s, second} {
			if again := b.at(at).visit(callback); again.header.Get("Location") != first.header.Get("Location") || code == "" {
				t.Errorf("led to %q, then to %q", first.header.Get("Location"), again.header.Get("Location"))
			}
			if a := s.expect(http.StatusBadRequest, s.browser().at(at).visit(callback)); a.header.Get("Location") != "" || a.field(t, "code") != "invalid_state" {
				t.Errorf("another browser gets %v %s", a.header, a.body)
			}
		}
		ctx := principal.System(t.Context(), "test")
		row := s.db.Client.OAuthState.Query().OnlyX(ctx)
		if kept := fmt.Sprintf("%s %s %s %s", row.Outcome, row.StateHash, row.BrowserHash, row.RedirectURI); strings.Contains(kept, code) {
			t.Errorf("the code is stored: %s", kept)
		}
		if n := s.db.Client.OneTimeToken.Query().CountX(ctx); n != 1 {
			t.Errorf("%d codes, want 1", n)
		}
		s.expect(http.StatusOK, s.exchange(code))
		s.expect(http.StatusSeeOther, b.at(s).visit(callback))
		s.expect(http.StatusBadRequest, s.exchange(code))
		if n := s.rows("refresh_tokens"); n != 1 || i.called("/token") != 1 {
			t.Errorf("%d sessions after %d exchanges", n, i.called("/token"))
		}
		ahead.Store(int64(71 * time.Second))
		s.expect(http.StatusBadRequest, b.at(s).visit(callback))

		// Refusals, also those of a provider that fails.
		for name, answer := range map[string]http.HandlerFunc{"invalid_request": text(`{"error":"invalid_grant"}`), "server_error": failing(http.StatusInternalServerError)} {
			i.change(func() { i.answer["/token"] = answer })
			callback = b.returning(withAddress)
			first, again := b.at(s).visit(callback), b.at(second).visit(callback)
			if again.arrival(b).Get("error") != name || again.header.Get("Location") != first.header.Get("Location") {
				t.Errorf("%s: led to %q, then to %q", name, first.header.Get("Location"), again.header.Get("Location"))
			}
			callback = b.returning(authorizePath)
			first, again = b.at(s).visit(callback), b.at(second).visit(callback)
			if again.status != first.status || again.field(t, "code") != first.field(t, "code") || again.field(t, "detail") != first.field(t, "detail") {
				t.Errorf("%s: answered with %s, then with %s", name, first.body, again.body)
			}
		}
		i.change(func() { delete(i.answer, "/token") })

		// A flow without an address to come back to has tokens, which are those of one session, until they are used.
		sessions := s.rows("refresh_tokens")
		callback = b.returning(authorizePath)
		tokens := s.expect(http.StatusOK, b.at(s).visit(callback))
		again := s.expect(http.StatusOK, b.at(second).visit(callback))
		if again.field(t, "refresh_token") != tokens.field(t, "refresh_token") || s.rows("refresh_tokens") != sessions+1 {
			t.Errorf("%d sessions: %s", s.rows("refresh_tokens")-sessions, again.body)
		}
		s.expect(http.StatusOK, s.refresh(again.field(t, "refresh_token")))
		s.expect(http.StatusBadRequest, b.at(second).visit(callback))
		s.expect(http.StatusBadRequest, s.browser().at(s).visit(callback))

		// A link.
		ada := s.join("acme", "someone@acme.test", "member")
		i.change(func() { i.person["sub"], i.person["email"] = "sub-2", "two@acme.test" })
		callback = b.returning(b.beginLink(linkPath, ada.access).field(t, "authorization_url"))
		s.expect(http.StatusNoContent, b.at(s).visit(callback))
		s.expect(http.StatusNoContent, b.at(second).visit(callback))
	})
}

// The flow is finished when the client leaves, and a callback that is repeated meanwhile waits for the outcome.
func TestCallback_whoseClientLeavesIsFinished(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		i := newIssuer(t)
		s := start(t, opts, i.offer("corporate"))
		second := start(t, opts, i.offer("corporate"), func(c *config.Config) { c.BootstrapPassword = "" })
		s.set("acme", welcoming)
		arrived, release := make(chan struct{}), make(chan struct{})
		i.change(func() {
			i.answer["/token"] = func(w http.ResponseWriter, r *http.Request) {
				arrived <- struct{}{}
				<-release
				i.mu.Lock()
				defer i.mu.Unlock()
				i.exchange(w, r)
			}
		})
		b := s.browser()
		callback := b.returning(withAddress)
		ctx, leave := context.WithCancel(t.Context())
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url+callback, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range b.Jar.Cookies(&url.URL{Scheme: "https", Host: publicHost, Path: "/"}) {
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
		answers := make([]answer, 2)
		for n, at := range []*instance{s, second} {
			all.Go(func() { answers[n] = b.at(at).visit(callback) })
		}
		soon(t, "both callbacks wait", func() bool {
			row := s.db.Client.OAuthState.Query().OnlyX(principal.System(t.Context(), "test"))
			return row.Callbacks == 3
		})
		close(release)
		all.Wait()
		code := answers[0].arrival(b).Get("code")
		if code == "" || answers[1].arrival(b).Get("code") != code || i.called("/token") != 1 {
			t.Errorf("led to %q and %q after %d exchanges", answers[0].header.Get("Location"), answers[1].header.Get("Location"), i.called("/token"))
		}
		s.expect(http.StatusOK, s.exchange(code))
	})
}

// What goes wrong on the way of a browser is a redirect to the application or a page, and a problem for programs.
func TestCallback_errorsAreForPeople(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		i := newIssuer(t)
		s := start(t, opts, i.offer("corporate"))
		s.set("acme", welcoming)
		visit := func(path, accept string) answer {
			r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url+path, http.NoBody)
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Accept", accept)
			return s.do(r)
		}
		const ofABrowser = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
		callback := "/api/v1/auth/oauth/corporate/callback"
		for path, want := range map[string]struct {
			status int
			code   string
		}{
			callback + "?state=%3Cscript%3E&code=c":   {http.StatusBadRequest, "invalid_state"},
			callback + "?code=c":                      {http.StatusBadRequest, "invalid_parameter"},
			"/api/v1/auth/oauth/nobody/authorize":     {http.StatusNotFound, "not_found"},
			authorizePath + "?redirect_uri=https://x": {http.StatusBadRequest, "invalid_parameter"},
		} {
			page := s.expect(want.status, visit(path, ofABrowser))
			if page.header.Get("Content-Type") != "text/html; charset=utf-8" || !strings.Contains(string(page.body), "<code>"+want.code+"</code>") ||
				!strings.Contains(string(page.body), page.header.Get("X-Request-ID")) || strings.Contains(string(page.body), "<script") {
				t.Errorf("%s: %v %s", path, page.header, page.body)
			}
			for _, accept := range []string{"", "*/*", "application/json", "application/problem+json, text/html;q=0.5", "text/html;q=0", "text/html;q=x", "nonsense"} {
				if a := s.expect(want.status, visit(path, accept)); a.field(t, "code") != want.code {
					t.Errorf("%q: %s", accept, a.body)
				}
			}
		}
		if a := visit("/api/v1/users/me", ofABrowser); a.field(t, "code") != "unauthorized" {
			t.Errorf("an operation that no browser visits answers %s", a.body)
		}
		i.change(func() { i.answer["/token"] = failing(http.StatusInternalServerError) })
		b := s.browser()
		if landed := b.visit(withAddress).arrival(b); landed.Get("error") != "server_error" || landed.Get("error_code") != "provider_failed" {
			t.Errorf("arrived with %v", landed)
		}
		if !strings.Contains(s.log.String(), "exchange the code: ") {
			t.Error("the cause is not in the log")
		}
	})
}
