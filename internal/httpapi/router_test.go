package httpapi

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"go.opentelemetry.io/otel/trace/noop"

	"tenantry/internal/principal"
)

func TestSteps_haveOneOrder(t *testing.T) {
	t.Parallel()
	want := []string{"request", "trace", "headers", "cors", "request_id", "recover", "tenant_context", "request_log",
		"validate", "authorize"}
	var got []string
	for _, s := range (&router{Options: Options{Tracer: noop.Tracer{},
		CORSOrigins: []string{"https://app.test"}}}).steps() {
		got = append(got, s.name)
		if _, err := os.Stat(s.name + ".go"); err != nil {
			t.Errorf("the step %s has no file of its name: %v", s.name, err)
		}
		does := strings.ToLower(runtime.FuncForPC(reflect.ValueOf(s.handle).Pointer()).Name())
		if !strings.Contains(does, "(*router)."+strings.ReplaceAll(s.name, "_", "")) {
			t.Errorf("the step %s does %s", s.name, does)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("steps\n%v, want\n%v", got, want)
	}
	for _, s := range (&router{}).steps() {
		if s.name == "trace" || s.name == "cors" {
			t.Errorf("there is a step %s without its option", s.name)
		}
	}
}

func TestSteps_runInOrder(t *testing.T) {
	t.Parallel()
	t.Run("authentication_before_validation_before_authorization", func(t *testing.T) {
		t.Parallel()
		a := start(t, func(s *setup) {
			s.Authorize = func(context.Context, *principal.Principal, []string) (context.Context, error) {
				return nil, errors.New("asked")
			}
		})
		a.expect(http.StatusBadRequest, "invalid_parameter", a.get(mePath+"?include=x", "Authorization: Bearer bad"))
		if n := a.authenticated.Load(); n != 1 {
			t.Errorf("authenticated %d times", n)
		}
	})
	t.Run("limits_before_validation", func(t *testing.T) {
		t.Parallel()
		a := start(t)
		a.expect(http.StatusRequestEntityTooLarge, "body_too_large", a.login(strings.Repeat("x", 64<<10+1)))
	})
	t.Run("request_id_and_recover_before_authentication", func(t *testing.T) {
		t.Parallel()
		a := start(t, func(s *setup) {
			s.Authenticate = func(context.Context, string) (*principal.Principal, error) {
				panic("in the middle of authentication")
			}
		})
		got := a.expect(http.StatusInternalServerError, "internal_error", a.me("X-Request-Id: named-by-a-proxy"))
		if id := got.document(t).RequestID; id != "named-by-a-proxy" {
			t.Errorf("request id %q", id)
		}
	})
}

func TestHandler_hasPrincipalAndDeadline(t *testing.T) {
	t.Parallel()
	a := start(t, handling(func(ctx context.Context, _ any) error {
		if p, ok := principal.FromContext(ctx); !ok || p.TenantID != alice.TenantID || p.UserID != alice.UserID {
			return errors.New("the principal is missing or wrong")
		}
		if deadline, ok := ctx.Deadline(); !ok || time.Until(deadline) > 15*time.Second {
			return errors.New("no deadline, or a late one")
		}
		return nil
	}))
	a.expect(http.StatusOK, "", a.me())
	a.expectHandled(1)
}

func TestRoutes_unknownOnesAre404(t *testing.T) {
	t.Parallel()
	for _, path := range []string{
		"/", "/api/v1/users/me/", "/api/v1/auth/LOGIN", "//api/v1/users/me", "/api/v1/auth/login%00", "/api/v1/%ff",
		"/api/v1/users/%2e%2e/users/me",
		"/debug/pprof/", "/debug/vars", "/metrics", "/swagger", "/openapi.yaml", "/healthz/../readyz",
	} {
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			a := start(t)
			a.expect(http.StatusNotFound, "not_found", a.get(path, "Authorization: Bearer "+goodToken))
			a.expectHandled(0)
		})
	}
}

func TestMethods_unknownOnesAre405WithAllow(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ method, path, allow string }{
		{http.MethodTrace, "/api/v1/roles", "GET, HEAD, POST"},
		{http.MethodDelete, "/api/v1/roles", "GET, HEAD, POST"},
		{http.MethodHead, loginPath, "POST"},
		{http.MethodOptions, "/api/v1/roles", "GET, HEAD, POST"},
		{"BREW", "/api/v1/roles", "GET, HEAD, POST"},
		{http.MethodGet, loginPath, "POST"},
		{http.MethodPut, loginPath, "POST"},
		{http.MethodPost, "/healthz", "GET, HEAD"},
	} {
		t.Run(test.method+test.path, func(t *testing.T) {
			t.Parallel()
			a := start(t)
			got := a.do(a.request(test.method, test.path, http.NoBody, "Authorization: Bearer "+goodToken, "X-Echo: "+
				canary))
			if got.status != http.StatusMethodNotAllowed {
				t.Fatalf("status %d: %s", got.status, got.body)
			}
			allowed := strings.Split(got.header.Get("Allow"), ", ")
			slices.Sort(allowed)
			if strings.Join(allowed, ", ") != test.allow {
				t.Errorf("Allow: %q, want %q", got.header.Get("Allow"), test.allow)
			}
			a.expectHandled(0)
		})
	}
}

func TestTraceMethod_onUnknownRouteIsRefused(t *testing.T) {
	t.Parallel()
	a := start(t)
	a.expect(http.StatusNotFound, "not_found",
		a.do(a.request(http.MethodTrace, "/nothing", http.NoBody, "X-Echo: "+canary)))
}

func TestHeaders_publicDocumentMayReplaceThem(t *testing.T) {
	t.Parallel()
	a := start(t)
	response, err := http.DefaultClient.Do(a.request(http.MethodGet, "/.well-known/jwks.json", http.NoBody))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if got := response.Header.Values("Cache-Control"); !slices.Equal(got, []string{publicCache}) {
		t.Errorf("Cache-Control %q", got)
	}
	if body, err := io.ReadAll(response.Body); err != nil || string(body) != "{\"keys\":[]}\n" {
		t.Errorf("%q, %v", body, err)
	}
}

func TestRoutes_outsideTheContractPassEveryStep(t *testing.T) {
	t.Parallel()
	a := start(t, func(s *setup) {
		s.engine = func(e *gin.Engine) {
			e.GET("/reference", func(c *gin.Context) { c.String(http.StatusOK, "public") })
		}
	})
	got := a.expect(http.StatusOK, "", a.get("/reference", "Authorization: Bearer bad"))
	if string(got.body) != "public" || got.header.Get(requestIDHeader) == "" {
		t.Errorf("%q %v", got.body, got.header)
	}
	if len(a.lines("request")) != 1 {
		t.Errorf("logged %v", a.log)
	}
}

// A browser ignores Strict-Transport-Security over plain http, and a server must not send it (RFC
// 6797 §7.2).
func TestHeaders_withoutHSTSHaveNone(t *testing.T) {
	t.Parallel()
	a := start(t, func(s *setup) { s.HSTS = "" })
	if got := a.fields(http.MethodGet, mePath); got.header["Strict-Transport-Security"] != nil {
		t.Errorf("%v", got.header)
	}
}
