package server_test

import (
	"net/http"
	"regexp"
	"slices"
	"testing"

	"github.com/google/uuid"

	"tenantry/internal/apitest"
	"tenantry/internal/database"
	"tenantry/internal/database/dbtest"
)

// RFC 9110 §9.1: monitors and caches send HEAD. It has the response of GET, changes nothing, and
// requires the same credential.
func TestHead_hasSameHeadersAsGet(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		i := apitest.NewIssuer(t)
		s := apitest.Start(t, opts, i.Configure("corporate"))
		access, _ := s.Login()
		paths := []string{"/", "/docs", "/docs/swagger-ui.css", "/openapi.json", "/nowhere",
			"/api/v1/users/me?include=roles,tenant", "/api/v1/users?limit=1"}
		redirecting := []string{"AuthorizeOAuth", "CallBackOAuth"}
		for _, o := range declaredOperations(t) {
			if o.method == http.MethodGet && !slices.Contains(redirecting, o.OperationID) {
				paths = append(paths, regexp.MustCompile(`{\w+}`).ReplaceAllString(o.pattern, uuid.NewString()))
			}
		}
		for _, path := range paths {
			for _, token := range []string{access, ""} {
				get, head := request(s, "GET", path, token), request(s, "HEAD", path, token)
				if head.Status != get.Status || len(head.Body) != 0 {
					t.Errorf("HEAD %s: %d with %d bytes, GET: %d", path, head.Status, len(head.Body), get.Status)
				}
				for _, name := range []string{"Content-Type", "Cache-Control", "Location", "Link", "Www-Authenticate",
					"Content-Security-Policy"} {
					if !slices.Equal(head.Header[name], get.Header[name]) {
						t.Errorf("HEAD %s: %s is %q, for GET %q", path, name, head.Header[name], get.Header[name])
					}
				}
				if length := head.Header.Get("Content-Length"); length != "" &&
					length != get.Header.Get("Content-Length") {
					t.Errorf("HEAD %s: length %s, GET has %s", path, length, get.Header.Get("Content-Length"))
				}
			}
		}
		before := s.WrittenRows()
		for _, path := range []string{apitest.AuthorizePath,
			"/api/v1/auth/oauth/corporate/callback?state=none&code=none"} {
			if a := request(s, "HEAD", path, ""); a.Status != http.StatusMethodNotAllowed ||
				a.Header.Get("Allow") == "" || a.Header.Get("Set-Cookie") != "" {
				t.Errorf("HEAD %s: %d %v", path, a.Status, a.Header)
			}
		}
		if after := s.WrittenRows(); after != before {
			t.Errorf("HEAD has written %d rows", after-before)
		}
	})
}

// request sends a request, and follows no redirect.
func request(s *apitest.Instance, method, path, token string) apitest.Answer {
	s.Helper()
	r, err := http.NewRequestWithContext(s.Context(), method, s.URL+path, http.NoBody)
	if err != nil {
		s.Fatal(err)
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	return s.SendOnce(r)
}
