package httpapi

import (
	"net/http"
	"slices"
	"strings"
	"testing"
)

var allowedOrigins = []string{"https://app.ok.test", "http://localhost:5173"}

func withOrigins(origins ...string) func(*setup) { return func(s *setup) { s.CORSOrigins = origins } }

// otherOrigins look like an allowed one (CVE-2024-41657).
var otherOrigins = []string{
	"https://app.ok.test.evil.com", "https://evilapp.ok.test", "https://evil.com/https://app.ok.test",
	"https://app.ok.testevil.com",
	"https://ok.test", "https://sub.app.ok.test", "http://app.ok.test", "https://app.ok.test:8443",
	"https://app.ok.test:443",
	"https://app.ok.test/", "https://app.ok.test,https://evil.com", "https://app.ok.test@evil.com",
	"http://localhost", "http://localhost:51730", "https://localhost:5173", "http://127.0.0.1:5173", "null", "*",
	"file://", "",
}

func TestCORS_otherOriginIsNotAllowed(t *testing.T) {
	t.Parallel()
	a := start(t, withOrigins(allowedOrigins...))
	for _, origin := range otherOrigins {
		header := "Origin: " + origin
		for name, got := range map[string]answer{
			"answer": a.expect(200, "", a.me(header)), "error": a.expect(401, "", a.get(mePath, header)),
			"preflight": a.preflight(origin),
		} {
			a.expectNoCORS(name+" to "+origin, got)
		}
	}
}

func TestCORS_originsAreComparedExactly(t *testing.T) {
	t.Parallel()
	// A pattern is a name like any other: no origin has it.
	a := start(t, withOrigins("https://*.ok.test", "https://*", "https://app.ok.test"))
	for _, origin := range []string{"https://evil.ok.test", "https://evil.com", "https://.ok.test",
		"HTTPS://APP.OK.TEST", "https://App.ok.test"} {
		a.expectNoCORS("answer to "+origin, a.me("Origin: "+origin))
		a.expectNoCORS("preflight of "+origin, a.preflight(origin))
	}
}

func TestCORS_configuredOriginIsAllowed(t *testing.T) {
	t.Parallel()
	a := start(t, withOrigins(allowedOrigins...))
	for _, origin := range allowedOrigins {
		header := "Origin: " + origin
		for name, got := range map[string]answer{
			"answer": a.expect(200, "", a.me(header)), "unauthorized": a.expect(401, "", a.get(mePath, header)),
			"invalid":   a.expect(422, "", a.login(`{}`, header)),
			"not_found": a.expect(404, "", a.get("/nothing", header)),
		} {
			if allowed := got.header.Values("Access-Control-Allow-Origin"); !slices.Equal(allowed, []string{origin}) {
				t.Errorf("%s: allowed are %q, want %q", name, allowed, origin)
			}
			if vary := got.header.Values("Vary"); !slices.Contains(vary, "Origin") {
				t.Errorf("%s: Vary is %q", name, vary)
			}
			exposed := strings.ToLower(got.header.Get("Access-Control-Expose-Headers"))
			for _, name := range []string{"x-request-id", "retry-after", "link"} {
				if !strings.Contains(exposed, name) {
					t.Errorf("%s is not exposed: %q", name, exposed)
				}
			}
			if value := got.header.Values("Access-Control-Allow-Credentials"); !slices.Equal(value, []string{"true"}) {
				t.Errorf("%s: credentials %q", name, value)
			}
		}
	}
}

// No script has any business where browsers are led (RFC 9700 §2.6).
func TestCORS_redirectingOperationsSendNoHeaders(t *testing.T) {
	t.Parallel()
	a := start(t, withOrigins(allowedOrigins...))
	for _, path := range []string{"/api/v1/auth/oauth/google/authorize", "/api/v1/auth/oauth/google/callback?state=x"} {
		for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodOptions} {
			a.expectNoCORS(method+" "+path,
				a.do(a.request(method, path, http.NoBody, "Origin: "+allowedOrigins[0],
					"Access-Control-Request-Method: GET")))
		}
	}
}

func TestCORS_everyResponseHasVary(t *testing.T) {
	t.Parallel()
	a := start(t, withOrigins(allowedOrigins...))
	for _, headers := range [][]string{nil, {"Origin: https://evil.com"}} {
		if vary := a.me(headers...).header.Values("Vary"); !slices.Contains(vary, "Origin") {
			t.Errorf("%v: Vary is %q", headers, vary)
		}
	}
}

func TestCORS_withoutOriginsSendsNoHeaders(t *testing.T) {
	t.Parallel()
	a := start(t)
	for _, origin := range append(slices.Clone(allowedOrigins), otherOrigins...) {
		a.expectNoCORS("answer to "+origin, a.me("Origin: "+origin))
	}
	got := a.do(a.request(http.MethodOptions, mePath, http.NoBody, "Origin: https://app.ok.test",
		"Access-Control-Request-Method: GET"))
	a.expectNoCORS("preflight", a.expect(http.StatusMethodNotAllowed, "method_not_allowed", got))
}

func TestPreflight_needsNoAuthentication(t *testing.T) {
	t.Parallel()
	a := start(t, withOrigins(allowedOrigins...))
	got := a.do(a.request(http.MethodOptions, mePath, http.NoBody, "Origin: https://app.ok.test",
		"Access-Control-Request-Method: PATCH",
		"Access-Control-Request-Headers: authorization,content-type,x-request-id", "Authorization: Bearer "+goodToken))
	instrumented := a.do(a.request(http.MethodOptions, mePath, http.NoBody, "Origin: https://app.ok.test",
		"Access-Control-Request-Method: HEAD",
		"Access-Control-Request-Headers: authorization,baggage,traceparent,tracestate"))
	for name, want := range map[string]string{
		"Access-Control-Allow-Methods": "HEAD",
		"Access-Control-Allow-Headers": "authorization,baggage,traceparent,tracestate",
	} {
		if value := instrumented.header.Get(name); value != want {
			t.Errorf("an instrumented front end: %s is %q, want %q", name, value, want)
		}
	}
	if got.status != http.StatusNoContent || len(got.body) != 0 {
		t.Errorf("%d %q", got.status, got.body)
	}
	for name, want := range map[string]string{
		"Access-Control-Allow-Origin": "https://app.ok.test", "Access-Control-Allow-Methods": "PATCH",
		"Access-Control-Max-Age":           "600",
		"Access-Control-Allow-Headers":     "authorization,content-type,x-request-id",
		"Access-Control-Allow-Credentials": "true",
		"Vary":                             "Origin, Access-Control-Request-Method, Access-Control-Request-Headers",
	} {
		if value := got.header.Get(name); value != want {
			t.Errorf("%s is %q, want %q", name, value, want)
		}
	}
	if n := a.authenticated.Load(); n != 0 {
		t.Errorf("verified %d tokens", n)
	}
	if lines := a.lines("request"); len(lines) != 0 {
		t.Errorf("logged %v", lines)
	}
	a.expectHandled(0)
}

func TestPreflight_allowsOnlyConfiguredMethodsAndHeaders(t *testing.T) {
	t.Parallel()
	a := start(t, withOrigins(allowedOrigins...))
	for name, headers := range map[string][]string{
		"method": {"Access-Control-Request-Method: TRACE"},
		"header": {"Access-Control-Request-Method: GET", "Access-Control-Request-Headers: cookie"},
		"header_among_ok": {"Access-Control-Request-Method: GET",
			"Access-Control-Request-Headers: authorization,x-forwarded-for"},
		"everything":      {"Access-Control-Request-Method: GET", "Access-Control-Request-Headers: *"},
		"method_in_small": {"Access-Control-Request-Method: patch"},
	} {
		got := a.do(a.request(http.MethodOptions, mePath, http.NoBody,
			append(headers, "Origin: https://app.ok.test")...))
		a.expectNoCORS(name, got)
	}
}

func (a *app) preflight(origin string) answer {
	a.Helper()
	return a.do(a.request(http.MethodOptions, mePath, http.NoBody, "Origin: "+origin,
		"Access-Control-Request-Method: GET"))
}

// expectNoCORS fails the test if a browser would let the origin read the answer.
func (a *app) expectNoCORS(name string, got answer) {
	a.Helper()
	for header, values := range got.header {
		if strings.HasPrefix(header, "Access-Control-") {
			a.Errorf("%s: %s is %q", name, header, values)
		}
	}
}
