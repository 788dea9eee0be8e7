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

	"tenantry/internal/apitest"
	"tenantry/internal/config"
	"tenantry/internal/database"
	"tenantry/internal/database/dbtest"
)

// behindProxy returns an instance behind a reverse proxy, which serves it at /auth and removes that
// prefix.
func behindProxy(s *apitest.Instance, t *testing.T) *apitest.Instance {
	t.Helper()
	target, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	web := http.NewServeMux()
	web.Handle("/auth/", http.StripPrefix("/auth", httputil.NewSingleHostReverseProxy(target)))
	front := httptest.NewServer(web)
	t.Cleanup(front.Close)
	proxied := *s
	proxied.URL = front.URL
	return &proxied
}

// Every link and redirect has the path of the public URL as prefix.
func TestPublicPath_prefixesEveryLink(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		public := func(c *config.Config) { c.PublicURL = "https://example.test/auth" }
		s := behindProxy(apitest.Start(t, opts, public), t)
		resolve := func(from, link string) string {
			t.Helper()
			at, err := url.Parse(s.URL + from)
			if err != nil {
				t.Fatal(err)
			}
			if at, err = at.Parse(link); err != nil {
				t.Fatal(err)
			}
			return strings.TrimPrefix(at.String(), s.URL)
		}
		root := s.Expect(http.StatusFound, request(s, "GET", "/auth/", ""))
		if at := resolve("/auth/", root.Header.Get("Location")); at != "/auth/docs" {
			t.Errorf("/auth/ redirects to %s", at)
		}
		page := s.Expect(http.StatusOK, request(s, "GET", "/auth/docs", ""))
		script := s.Expect(http.StatusOK, request(s, "GET", "/auth/docs/reference.js", ""))
		links := regexp.MustCompile(`(?:src|href|url)(?:=|: )"([^"]+)"`).FindAllSubmatch(append(page.Body,
			script.Body...), -1)
		if len(links) != 5 {
			t.Errorf("found %d links, want 5: %q", len(links), links)
		}
		for _, link := range links {
			s.Expect(http.StatusOK, request(s, "GET", resolve("/auth/docs", string(link[1])), ""))
		}
		var contract struct {
			Servers []struct{ URL string }
			Info    struct{ Version string }
		}
		if err := json.Unmarshal(s.Expect(http.StatusOK, request(s, "GET", "/auth/openapi.json", "")).Body,
			&contract); err != nil {
			t.Fatal(err)
		}
		if len(contract.Servers) != 1 || resolve("/auth/openapi.json", contract.Servers[0].URL) != "/auth" {
			t.Errorf("the servers are %v", contract.Servers)
		}
		s.URL += "/auth"
		access, _ := s.Login()
		s.Expect(http.StatusCreated, s.Call("POST", "/api/v1/users", access, map[string]any{"email": "ada@acme.test"}))
		s.URL = strings.TrimSuffix(s.URL, "/auth")
		list := s.Expect(http.StatusOK, request(s, "GET", "/auth/api/v1/users?limit=1", access))
		next := regexp.MustCompile(`^<([^>]+)>; rel="next"$`).FindStringSubmatch(list.Header.Get("Link"))
		if next == nil {
			t.Fatalf("Link: %q", list.Header.Get("Link"))
		}
		s.Expect(http.StatusOK, request(s, "GET", resolve("/auth/api/v1/users", next[1]), access))
	})
}

func TestRoot_redirectsToReference(t *testing.T) {
	t.Parallel()
	s := apitest.Start(t, dbtest.SQLite(t))
	if a := s.Expect(http.StatusFound, request(s, "GET", "/", "")); a.Header.Get("Location") != "/docs" {
		t.Errorf("to %q", a.Header.Get("Location"))
	}
}

// RFC 6797 §7.2: the server sends no HSTS header for http. The header does not include subdomains,
// which others may operate.
func TestHSTS_isSentIfPublicURLIsHTTPS(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change func(*config.Config)
		want   string
	}{
		"https":           {func(*config.Config) {}, "max-age=63072000"},
		"with_subdomains": {func(c *config.Config) { c.HSTSSubdomains = true }, "max-age=63072000; includeSubDomains"},
		"http": {func(c *config.Config) {
			c.PublicURL, c.HSTSSubdomains = "http://127.0.0.1:8080", true
		}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := apitest.Start(t, dbtest.SQLite(t), test.change)
			if got := s.Call("GET", "/healthz", "", nil).Header.Get("Strict-Transport-Security"); got != test.want {
				t.Errorf("%q, want %q", got, test.want)
			}
		})
	}
}
