package oauth_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"tenantry/ent/schema/settings"
	"tenantry/internal/apitest"
	"tenantry/internal/config"
	"tenantry/internal/database"
	"tenantry/internal/database/dbtest"
)

// redirectMutants are what people try in place of https://app.acme.test/signed-in.
var redirectMutants = []string{
	"//evil.test", "///evil.test", "/\\evil.test", "\\\\evil.test", "\\/evil.test", "https:evil.test",
	"https:/evil.test", "https:\\\\evil.test", "https://evil.test",
	"https://evil.test/signed-in", "https://app.acme.test@evil.test/signed-in",
	"https://app.acme.test:x@evil.test/signed-in", "https://evil.test#@app.acme.test/signed-in",
	"https://evil.test\\@app.acme.test/signed-in", "https://evil.test/?https://app.acme.test/signed-in",
	"https://app.acme.test.evil.test/signed-in", "https://evilapp.acme.test/signed-in",
	"https://app.acme.test.", "https://app.acme.test./signed-in", "https://app.acme.test/signed-in/",
	"https://app.acme.test/signed-in/..", "https://app.acme.test/signed-in/../../evil",
	"https://app.acme.test/signed-in/..;/evil", "https://app.acme.test/./signed-in", "https://app.acme.test//signed-in",
	"https://app.acme.test/%2f%2fevil.test", "https://app.acme.test%2f%2fevil.test",
	"https://app.acme.test/signed-in%2f..", "https://app.acme.test/signed%2Din", "https://app.acme.test/signed-in%00",
	"https://app.acme.test/signed-in%0d%0aLocation:%20https://evil.test",
	"https://app.acme.test/signed-in\r\nLocation: https://evil.test", "https://app.acme.test/signed-in\n",
	"\nhttps://app.acme.test/signed-in", "\thttps://app.acme.test/signed-in", " https://app.acme.test/signed-in",
	"https://app.acme.test/signed-in ", "javascript:alert(1)", "JaVaScRiPt:alert(1)", "data:text/html,<script>",
	"vbscript:x", "file:///etc/passwd", "blob:https://app.acme.test/x",
	"http://app.acme.test/signed-in", "HTTPS://app.acme.test/signed-in", "https://APP.acme.test/signed-in",
	"https://app.acme.test/Signed-In", "https://app.acme.test:443/signed-in",
	"https://app.acme.test:8443/signed-in", "https://app.acme.test:/signed-in", "https://app.acme.test/signed-in?",
	"https://app.acme.test/signed-in?next=https://evil.test", "https://app.acme.test/signed-in#",
	"https://app.acme.test/signed-in#evil", "https://app.acme.test/signed-in&redirect_uri=https://evil.test",
	"https://аpp.acme.test/signed-in", "https://app。acme.test/signed-in", "https://app.acme.test／signed-in",
	"https://xn--pp-7cd.acme.test/signed-in", "https://[::1]/signed-in", "https://2130706433/",
	"https://evil.test?.app.acme.test", "https://evil.test;app.acme.test", "https://*.acme.test/signed-in",
	"https://app.acme.test/signed-in,https://evil.test", "https://app.acme.test/signed-in https://evil.test",
	"signed-in", "/signed-in", "?", "null", "https://", "com.evil.app:/done", "https://app.acme.test",
}

// O-13: a browser is redirected only to the exact URIs that the tenant has listed, in every tenant
// and at whatever beginning.
func TestRedirect_similarURIsAreRefused(t *testing.T) {
	t.Parallel()
	if len(redirectMutants) < 60 {
		t.Fatalf("only %d mutants", len(redirectMutants))
	}
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		i := apitest.NewIssuer(t)
		s := apitest.Start(t, opts, i.Configure("corporate"))
		s.CreateTenant("other")
		s.ChangeSettings("acme", apitest.OpenToProviders)
		s.ChangeSettings("other", func(t *settings.Tenant) {
			t.RedirectURIs = []string{"https://evil.test", "com.evil.app:/done"}
		})
		access, _ := s.Login()
		for _, uri := range redirectMutants {
			q := "?redirect_uri=" + url.QueryEscape(uri)
			for _, a := range []apitest.Answer{s.Browser().Visit(apitest.AuthorizePath + q),
				s.Call("POST", apitest.LinkPath+q, access, nil)} {
				if s.Expect(http.StatusBadRequest, a); a.Header.Get("Location") != "" ||
					a.Header.Get("Set-Cookie") != "" {
					t.Errorf("%q: redirected to %s", uri, a.Header.Get("Location"))
				}
			}
		}
		if n := s.Rows("oauth_states"); n != 0 {
			t.Errorf("%d flows have begun", n)
		}
		// Named twice, the address is one of them and no mixture.
		for _, q := range []string{"?redirect_uri=" + url.QueryEscape(apitest.ApplicationURL) +
			"&redirect_uri=https://evil.test", "?redirect_uri=https://evil.test&redirect_uri=" +
			url.QueryEscape(apitest.ApplicationURL)} {
			if a := s.Browser().Visit(apitest.AuthorizePath + q); strings.Contains(a.Header.Get("Location"),
				"evil.test") {
				t.Errorf("%s: redirected to %s", q, a.Header.Get("Location"))
			}
		}
		// What follows the address does not change where it leads.
		listed := []string{apitest.ApplicationURL, "https://app.acme.test/?from=acme", "http://localhost:3000/done",
			"com.example.app:/done"}
		s.ChangeSettings("acme", func(t *settings.Tenant) { t.RedirectURIs = listed })
		for _, uri := range listed {
			b := s.Browser()
			at := b.Visit(apitest.AuthorizePath + "?redirect_uri=" + url.QueryEscape(uri))
			b.Hops = nil
			if want := uri + map[bool]string{true: "&", false: "?"}[strings.Contains(uri, "?")] +
				"code="; !strings.HasPrefix(at.Header.Get("Location"), want) {
				t.Errorf("%s: redirected to %s", uri, at.Header.Get("Location"))
			}
		}
	})
}

// A server whose public URL is plain http has cookies that a browser takes there.
func TestCookie_ofPlainHTTPIsAccepted(t *testing.T) {
	t.Parallel()
	i := apitest.NewIssuer(t)
	s := apitest.Start(t, dbtest.SQLite(t), i.Configure("corporate"), func(c *config.Config) {
		c.PublicURL = "http://id.acme.test"
	})
	s.ChangeSettings("acme", apitest.OpenToProviders)
	s.Expect(http.StatusOK, s.Browser().Visit("http://id.acme.test"+apitest.AuthorizePath))
}
