package httpapi

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"

	"tenantry/internal/principal"
	"tenantry/internal/problem"
)

func TestProfile_limitsOfAnOperationReplaceTheDefault(t *testing.T) {
	t.Parallel()
	a := start(t, func(s *setup) {
		s.contract.Paths.Find(loginPath).Post.Extensions = map[string]any{
			bodyLimitExtension: float64(len(loginBody)), timeoutExtension: "1h",
		}
	}, handling(func(ctx context.Context, _ any) error {
		if end, ok := ctx.Deadline(); !ok || time.Until(end) < 59*time.Minute {
			t.Errorf("the deadline is %v, %t", end, ok)
		}
		return nil
	}))
	a.expect(http.StatusOK, "", a.login(loginBody))
	got := a.expect(http.StatusRequestEntityTooLarge, "body_too_large", a.login(loginBody+" "))
	if !strings.Contains(string(got.body), "bytes") {
		t.Errorf("the limit is not named: %s", got.body)
	}
	a.expectHandled(1)
}

func TestProfile_timeoutEndsTheRequest(t *testing.T) {
	t.Parallel()
	a := start(t, func(s *setup) {
		s.contract.Paths.Find(mePath).Get.Extensions = map[string]any{timeoutExtension: "1ms"}
	}, handling(func(ctx context.Context, _ any) error {
		<-ctx.Done()
		return ctx.Err()
	}))
	a.expect(http.StatusServiceUnavailable, "unavailable", a.me())
}

func TestProfile_everyMediaTypeOfABodyIsAccepted(t *testing.T) {
	t.Parallel()
	a := start(t, func(s *setup) {
		content := s.contract.Paths.Find(loginPath).Post.RequestBody.Value.Content
		content["application/vnd.tenantry+json"] = content[mediaJSON]
	})
	post := func(media string) answer {
		r := a.request(http.MethodPost, loginPath, strings.NewReader(loginBody), "Content-Type: "+media)
		return a.do(r)
	}
	a.expect(http.StatusOK, "", post("application/json; charset=utf-8"))
	a.expect(http.StatusOK, "", post("application/vnd.tenantry+json"))
	got := a.expect(http.StatusUnsupportedMediaType, "unsupported_media_type", post("text/plain"))
	if !strings.Contains(string(got.body), "application/json or application/vnd.tenantry+json") {
		t.Errorf("the accepted types are not named: %s", got.body)
	}
}

// keyScheme is a second kind of credential, with tokens that begin with key_.
var keyScheme = Authenticator{
	Scheme:     "api_key",
	Recognizes: func(token string) bool { return strings.HasPrefix(token, "key_") },
	Authenticate: func(_ context.Context, token string) (*principal.Principal, error) {
		if token != "key_good" {
			return nil, problem.Unauthorized("invalid_token", "The key is not valid.")
		}
		return &principal.Principal{TenantID: alice.TenantID}, nil
	},
	Authorize: func(ctx context.Context, p *principal.Principal, scopes []string) (context.Context, error) {
		if len(scopes) > 0 {
			return nil, problem.Forbidden("forbidden", "The permission "+scopes[0]+" is needed.")
		}
		return principal.NewContext(ctx, p), nil
	},
}

// A second kind of credential is one authenticator, and operations accept it where their security
// names its scheme.
func TestCredentials_areVerifiedByForm(t *testing.T) {
	t.Parallel()
	a := start(t, func(s *setup) {
		s.Authenticators = []Authenticator{keyScheme}
		s.contract.Components.SecuritySchemes["api_key"] = s.contract.Components.SecuritySchemes["bearer"]
		s.contract.Paths.Find(mePath).Get.Security = &openapi3.SecurityRequirements{{"bearer": {}}, {"api_key": {}}}
		s.contract.Paths.Find("/api/v1/auth/sessions").Get.Security = &openapi3.SecurityRequirements{
			{"bearer": {}}, {"api_key": {"sessions:read"}}}
	})
	for _, test := range []struct {
		path, token string
		status      int
		code        string
	}{
		{mePath, goodToken, 200, ""},
		{mePath, "key_good", 200, ""},
		{mePath, "key_bad", 401, "invalid_token"},
		{mePath, "bad", 401, "invalid_token"},
		{"/api/v1/auth/sessions", goodToken, 200, ""},
		{"/api/v1/auth/sessions", "key_good", 403, "forbidden"}, // its scope is missing
		{"/api/v1/users", goodToken, 200, ""},
		{"/api/v1/users", "key_good", 403, "forbidden"}, // the kind is not accepted
		{"/api/v1/users", "key_bad", 401, "invalid_token"},
	} {
		t.Run(test.path[len("/api/v1/"):]+" "+test.token, func(t *testing.T) {
			a.expect(test.status, test.code, a.get(test.path, "Authorization: Bearer "+test.token))
		})
	}
	if n := a.authenticated.Load(); n != 4 {
		t.Errorf("%d tokens reached the authenticator of bearer, want those of its form", n)
	}
}

func TestCredentials_ofNoKnownFormAreRefused(t *testing.T) {
	t.Parallel()
	a := start(t, func(s *setup) { s.Recognizes = func(token string) bool { return token == goodToken } })
	a.expect(http.StatusUnauthorized, "invalid_token", a.get(mePath, "Authorization: Bearer other"))
	if n := a.authenticated.Load(); n != 0 {
		t.Errorf("authenticated %d times", n)
	}
}

func TestParameters_ofHeadersAndCookiesAreValidated(t *testing.T) {
	t.Parallel()
	a := start(t, func(s *setup) {
		size := openapi3.NewIntegerSchema().WithMin(1)
		s.contract.Paths.Find(mePath).Get.Parameters = openapi3.Parameters{
			{Value: openapi3.NewHeaderParameter("X-Size").WithSchema(size)},
			{Value: openapi3.NewCookieParameter("size").WithSchema(size).WithRequired(true)},
		}
	})
	for headers, want := range map[string]string{
		"Cookie: size=1":                       "",
		"Cookie: size=1\nX-Size: 2":            "",
		"X-Size: 2":                            `"parameter":"size"`,
		"Cookie: size=0":                       `"parameter":"size"`,
		"Cookie: size=1; size=2":               `"parameter":"size"`,
		"Cookie: size=1\nX-Size: 0":            `"parameter":"X-Size"`,
		"Cookie: size=1\nX-Size: 1\nX-Size: 2": `"parameter":"X-Size"`,
	} {
		got := a.me(strings.Split(headers, "\n")...)
		if want == "" {
			a.expect(http.StatusOK, "", got)
		} else if a.expect(http.StatusBadRequest, "invalid_parameter", got); !strings.Contains(string(got.body), want) {
			t.Errorf("%s: %s", headers, got.body)
		}
	}
}
