package server_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"tenantry/ent/schema/settings"
	"tenantry/internal/config"
	"tenantry/internal/database"
	"tenantry/internal/database/dbtest"
)

// redirectMutants are what people try in place of https://app.acme.test/signed-in.
var redirectMutants = []string{
	"//evil.test", "///evil.test", "/\\evil.test", "\\\\evil.test", "\\/evil.test", "https:evil.test", "https:/evil.test", "https:\\\\evil.test", "https://evil.test",
	"https://evil.test/signed-in", "https://app.acme.test@evil.test/signed-in", "https://app.acme.test:x@evil.test/signed-in", "https://evil.test#@app.acme.test/signed-in",
	"https://evil.test\\@app.acme.test/signed-in", "https://evil.test/?https://app.acme.test/signed-in", "https://app.acme.test.evil.test/signed-in", "https://evilapp.acme.test/signed-in",
	"https://app.acme.test.", "https://app.acme.test./signed-in", "https://app.acme.test/signed-in/", "https://app.acme.test/signed-in/..", "https://app.acme.test/signed-in/../../evil",
	"https://app.acme.test/signed-in/..;/evil", "https://app.acme.test/./signed-in", "https://app.acme.test//signed-in", "https://app.acme.test/%2f%2fevil.test", "https://app.acme.test%2f%2fevil.test",
	"https://app.acme.test/signed-in%2f..", "https://app.acme.test/signed%2Din", "https://app.acme.test/signed-in%00", "https://app.acme.test/signed-in%0d%0aLocation:%20https://evil.test",
	"https://app.acme.test/signed-in\r\nLocation: https://evil.test", "https://app.acme.test/signed-in\n", "\nhttps://app.acme.test/signed-in", "\thttps://app.acme.test/signed-in", " https://app.acme.test/signed-in",
	"https://app.acme.test/signed-in ", "javascript:alert(1)", "JaVaScRiPt:alert(1)", "data:text/html,<script>", "vbscript:x", "file:///etc/passwd", "blob:https://app.acme.test/x",
	"http://app.acme.test/signed-in", "HTTPS://app.acme.test/signed-in", "https://APP.acme.test/signed-in", "https://app.acme.test/Signed-In", "https://app.acme.test:443/signed-in",
	"https://app.acme.test:8443/signed-in", "https://app.acme.test:/signed-in", "https://app.acme.test/signed-in?", "https://app.acme.test/signed-in?next=https://evil.test", "https://app.acme.test/signed-in#",
	"https://app.acme.test/signed-in#evil", "https://app.acme.test/signed-in&redirect_uri=https://evil.test", "https://аpp.acme.test/signed-in", "https://app。acme.test/signed-in", "https://app.acme.test／signed-in",
	"https://xn--pp-7cd.acme.test/signed-in", "https://[::1]/signed-in", "https://2130706433/", "https://evil.test?.app.acme.test", "https://evil.test;app.acme.test", "https://*.acme.test/signed-in",
	"https://app.acme.test/signed-in,https://evil.test", "https://app.acme.test/signed-in https://evil.test", "signed-in", "/signed-in", "?", "null", "https://", "com.evil.app:/done", "https://app.acme.test",
}

// O-13: only what the tenant has listed, letter by letter, is ever led to, in whatever tenant and at whatever beginning.
func TestRedirect_mutants_lead_nowhere(t *testing.T) {
	t.Parallel()
	if len(redirectMutants) < 60 {
		t.Fatalf("only %d mutants", len(redirectMutants))
	}
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		i := newIssuer(t)
		s := start(t, opts, i.offer("corporate"))
		s.found("other")
		s.set("acme", welcoming)
		s.set("other", func(t *settings.Tenant) { t.RedirectURIs = []string{"https://evil.test", "com.evil.app:/done"} })
		access, _ := s.login()
		for _, uri := range redirectMutants {
			q := "?redirect_uri=" + url.QueryEscape(uri)
			for _, a := range []answer{s.browser().visit(authorizePath + q), s.call("POST", linkPath+q, access, nil)} {
				if s.expect(http.StatusBadRequest, a); a.header.Get("Location") != "" || a.header.Get("Set-Cookie") != "" {
					t.Errorf("%q: led to %s", uri, a.header.Get("Location"))
				}
			}
		}
		if n := s.rows("oauth_states"); n != 0 {
			t.Errorf("%d flows have begun", n)
		}
		// Named twice, the address is one of them and no mixture.
		for _, q := range []string{"?redirect_uri=" + url.QueryEscape(application) + "&redirect_uri=https://evil.test", "?redirect_uri=https://evil.test&redirect_uri=" + url.QueryEscape(application)} {
			if a := s.browser().visit(authorizePath + q); strings.Contains(a.header.Get("Location"), "evil.test") {
				t.Errorf("%s: led to %s", q, a.header.Get("Location"))
			}
		}
		// What follows the address does not change where it leads.
		listed := []string{application, "https://app.acme.test/?from=acme", "http://localhost:3000/done", "com.example.app:/done"}
		s.set("acme", func(t *settings.Tenant) { t.RedirectURIs = listed })
		for _, uri := range listed {
			b := s.browser()
			at := b.visit(authorizePath + "?redirect_uri=" + url.QueryEscape(uri))
			b.hops = nil
			if want := uri + map[bool]string{true: "&", false: "?"}[strings.Contains(uri, "?")] + "code="; !strings.HasPrefix(at.header.Get("Location"), want) {
				t.Errorf("%s: led to %s", uri, at.header.Get("Location"))
			}
		}
	})
}

// A server whose public URL is plain http has cookies that a browser takes there.
func TestCookie_of_plain_http_is_taken(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	s := start(t, dbtest.SQLite(t), i.offer("corporate"), func(c *config.Config) { c.PublicURL = "http://id.acme.test" })
	s.set("acme", welcoming)
	s.expect(http.StatusOK, s.browser().visit("http://id.acme.test"+authorizePath))
}
