package httpapi

import (
	"net/http"
	"slices"
	"strings"
	"testing"
)

// RFC 9110 §9.3.2: the same fields as for GET, and no body.
func TestHead_answersAsGetWithoutBody(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		path   string
		status int
	}{
		{"/healthz", 200}, {"/readyz", 200}, {"/.well-known/jwks.json", 200}, {mePath, 200},
		{mePath + "?include=x", 400}, {"/nothing", 404},
	} {
		t.Run(test.path, func(t *testing.T) {
			t.Parallel()
			a := start(t)
			head, get := a.fields(http.MethodHead, test.path), a.fields(http.MethodGet, test.path)
			if head.status != test.status || get.status != test.status || len(head.body) != 0 {
				t.Fatalf("HEAD %d with %d bytes, GET %d, want %d", head.status, len(head.body), get.status, test.status)
			}
			for name, want := range get.header {
				if name != requestIDHeader && name != "Date" && !slices.Equal(head.header[name], want) {
					t.Errorf("HEAD: %s is %q, GET: %q", name, head.header[name], want)
				}
			}
			if line := a.lines("request"); test.path == mePath && (len(line) != 2 || line[0]["bytes"] != 0.0 ||
				line[0]["method"] != "HEAD") {
				t.Errorf("logged %v", line)
			}
		})
	}
}

// fields sends a request with the good token, and does not hold the answer against the fixed
// headers.
func (a *app) fields(method, path string) answer {
	a.Helper()
	response, err := http.DefaultClient.Do(a.request(method, path, http.NoBody, "Authorization: Bearer "+goodToken))
	if err != nil {
		a.Fatal(err)
	}
	defer response.Body.Close()
	var body strings.Builder
	if err := response.Write(&body); err != nil {
		a.Fatal(err)
	}
	_, content, _ := strings.Cut(body.String(), "\r\n\r\n")
	return answer{response.StatusCode, response.Header, []byte(content)}
}

func TestHead_withoutTokenIs401(t *testing.T) {
	t.Parallel()
	a := start(t)
	if got := a.do(a.request(http.MethodHead, mePath, http.NoBody)); got.status != http.StatusUnauthorized ||
		got.header.Get("WWW-Authenticate") != "Bearer" {
		t.Errorf("%d %v", got.status, got.header)
	}
	a.expectHandled(0)
}

// A HEAD must not start a sign-in or consume its state (RFC 9110 §9.2.1).
func TestHead_whereGetRedirectsBrowsersIs405(t *testing.T) {
	t.Parallel()
	for path, allow := range map[string]string{
		"/api/v1/auth/oauth/google/authorize": "GET", "/api/v1/auth/oauth/google/callback?state=x": "GET, POST",
	} {
		a := start(t)
		got := a.do(a.request(http.MethodHead, path, http.NoBody))
		allowed := strings.Split(got.header.Get("Allow"), ", ")
		slices.Sort(allowed)
		if got.status != http.StatusMethodNotAllowed || strings.Join(allowed, ", ") != allow {
			t.Errorf("%s: %d, Allow %q", path, got.status, allowed)
		}
		a.expectHandled(0)
	}
}
