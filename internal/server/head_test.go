package server_test

import (
	"io"
	"net/http"
	"regexp"
	"slices"
	"testing"

	"github.com/google/uuid"

	"tenantry/internal/database"
	"tenantry/internal/database/dbtest"
)

// RFC 9110 §9.1: monitors and caches ask with HEAD. It is answered as GET is, changes nothing, and needs the same credential.
func TestHead_everyGetIsAnsweredWithTheSameFields(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		i := newIssuer(t)
		s := start(t, opts, i.offer("corporate"))
		access, _ := s.login()
		paths := []string{"/", "/docs", "/docs/swagger-ui.css", "/openapi.json", "/nowhere", "/api/v1/users/me?include=roles,tenant", "/api/v1/users?limit=1"}
		redirecting := []string{"AuthorizeOAuth", "CallBackOAuth"}
		for _, o := range declaredOperations(t) {
			if o.method == http.MethodGet && !slices.Contains(redirecting, o.OperationID) {
				paths = append(paths, regexp.MustCompile(`{\w+}`).ReplaceAllString(o.pattern, uuid.NewString()))
			}
		}
		for _, path := range paths {
			for _, token := range []string{access, ""} {
				get, head := s.request("GET", path, token), s.request("HEAD", path, token)
				if head.status != get.status || len(head.body) != 0 {
					t.Errorf("HEAD %s: %d with %d bytes, GET: %d", path, head.status, len(head.body), get.status)
				}
				for _, name := range []string{"Content-Type", "Cache-Control", "Location", "Link", "Www-Authenticate", "Content-Security-Policy"} {
					if !slices.Equal(head.header[name], get.header[name]) {
						t.Errorf("HEAD %s: %s is %q, for GET %q", path, name, head.header[name], get.header[name])
					}
				}
				if length := head.header.Get("Content-Length"); length != "" && length != get.header.Get("Content-Length") {
					t.Errorf("HEAD %s: length %s, GET has %s", path, length, get.header.Get("Content-Length"))
				}
			}
		}
		before := s.written()
		for _, path := range []string{authorizePath, "/api/v1/auth/oauth/corporate/callback?state=none&code=none"} {
			if a := s.request("HEAD", path, ""); a.status != http.StatusMethodNotAllowed || a.header.Get("Allow") == "" || a.header.Get("Set-Cookie") != "" {
				t.Errorf("HEAD %s: %d %v", path, a.status, a.header)
			}
		}
		if after := s.written(); after != before {
			t.Errorf("HEAD has written %d rows", after-before)
		}
	})
}

// request sends a request, and follows no redirect.
func (s *instance) request(method, path, token string) answer {
	s.Helper()
	r, err := http.NewRequestWithContext(s.Context(), method, s.url+path, http.NoBody)
	if err != nil {
		s.Fatal(err)
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	return s.send(r)
}

// send sends a request, follows no redirect, and holds the answer against the contract.
func (s *instance) send(r *http.Request) answer {
	s.Helper()
	response, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		s.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		s.Fatal(err)
	}
	a := answer{status: response.StatusCode, header: response.Header, body: body}
	s.holdAgainstContract(r, a)
	return a
}
