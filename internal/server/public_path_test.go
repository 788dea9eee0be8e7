package server_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"tenantry/internal/config"
	"tenantry/internal/database"
	"tenantry/internal/database/dbtest"
)

// beneath serves an instance at /auth of another host, as a proxy does that removes the path.
func (s *instance) beneath(t *testing.T) *instance {
	t.Helper()
	target, err := url.Parse(s.url)
	if err != nil {
		t.Fatal(err)
	}
	web := http.NewServeMux()
	web.Handle("/auth/", http.StripPrefix("/auth", httputil.NewSingleHostReverseProxy(target)))
	front := httptest.NewServer(web)
	t.Cleanup(front.Close)
	through := *s
	through.url = front.URL
	return &through
}

// Everything that an answer leads to is beneath the public URL.
func TestPublicPath_everyLinkStaysBeneathIt(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		s := start(t, opts, func(c *config.Config) { c.PublicURL = "https://example.test/auth" }).beneath(t)
		follow := func(from, link string) string {
			t.Helper()
			at, err := url.Parse(s.url + from)
			if err != nil {
				t.Fatal(err)
			}
			if at, err = at.Parse(link); err != nil {
				t.Fatal(err)
			}
			return strings.TrimPrefix(at.String(), s.url)
		}
		root := s.expect(http.StatusFound, s.request("GET", "/auth/", ""))
		if at := follow("/auth/", root.header.Get("Location")); at != "/auth/docs" {
			t.Errorf("/auth/ leads to %s", at)
		}
		page := s.expect(http.StatusOK, s.request("GET", "/auth/docs", ""))
		script := s.expect(http.StatusOK, s.request("GET", "/auth/docs/reference.js", ""))
		links := regexp.MustCompile(`(?:src|href|url)(?:=|: )"([^"]+)"`).FindAllSubmatch(append(page.body, script.body...), -1)
		if len(links) != 5 {
			t.Errorf("the page names %q", links)
		}
		for _, link := range links {
			s.expect(http.StatusOK, s.request("GET", follow("/auth/docs", string(link[1])), ""))
		}
		var contract struct {
			Servers []struct{ URL string }
			Info    struct{ Version string }
		}
		if err := json.Unmarshal(s.expect(http.StatusOK, s.request("GET", "/auth/openapi.json", "")).body, &contract); err != nil {
			t.Fatal(err)
		}
		if len(contract.Servers) != 1 || follow("/auth/openapi.json", contract.Servers[0].URL) != "/auth" {
			t.Errorf("the servers are %v", contract.Servers)
		}
		s.url += "/auth"
		access, _ := s.login()
		s.expect(http.StatusCreated, s.call("POST", "/api/v1/users", access, map[string]any{"email": "ada@acme.test"}))
		s.url = strings.TrimSuffix(s.url, "/auth")
		list := s.expect(http.StatusOK, s.request("GET", "/auth/api/v1/users?limit=1", access))
		next := regexp.MustCompile(`^<([^>]+)>; rel="next"$`).FindStringSubmatch(list.header.Get("Link"))
		if next == nil {
			t.Fatalf("Link: %q", list.header.Get("Link"))
		}
		s.expect(http.StatusOK, s.request("GET", follow("/auth/api/v1/users", next[1]), access))
	})
}

func TestRoot_leadsToTheReference(t *testing.T) {
	t.Parallel()
	s := start(t, dbtest.SQLite(t))
	if a := s.expect(http.StatusFound, s.request("GET", "/", "")); a.header.Get("Location") != "/docs" {
		t.Errorf("to %q", a.header.Get("Location"))
	}
}

// RFC 6797 §7.2: not over http. Subdomains may be other people's.
func TestHSTS_isSentWhereThePublicURLIsHTTPS(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change func(*config.Config)
		want   string
	}{
		"https":           {func(*config.Config) {}, "max-age=63072000"},
		"with_subdomains": {func(c *config.Config) { c.HSTSSubdomains = true }, "max-age=63072000; includeSubDomains"},
		"http":            {func(c *config.Config) { c.PublicURL, c.HSTSSubdomains = "http://127.0.0.1:8080", true }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t, dbtest.SQLite(t), test.change)
			if got := s.call("GET", "/healthz", "", nil).header.Get("Strict-Transport-Security"); got != test.want {
				t.Errorf("%q, want %q", got, test.want)
			}
		})
	}
}
