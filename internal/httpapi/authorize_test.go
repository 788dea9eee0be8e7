package httpapi

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"

	"tenantry/internal/principal"
	"tenantry/internal/problem"
)

func TestAuthorize_errorsAreRendered(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		err    error
		status int
		code   string
	}{
		{"session_over", problem.Unauthorized("invalid_token", "The session has ended."), 401, "invalid_token"},
		{"not_permitted", problem.Forbidden("forbidden", "Not yours."), 403, "forbidden"},
		{"wrapped", fmt.Errorf("authorize: %w", problem.Forbidden("superuser", "It sleeps.")), 403, "superuser"},
		{"outage", fmt.Errorf("read projection: %w", errOutage), 503, "unavailable"},
		{"late", context.DeadlineExceeded, 503, "unavailable"},
		{"unforeseen", errors.New("pq: no such column"), 500, "internal_error"},
		{"no_context_and_no_error", nil, 500, "internal_error"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			a := start(t, func(s *setup) {
				s.Authorize = func(context.Context, *principal.Principal, []string) (context.Context, error) {
					return nil, test.err
				}
			})
			got := a.expect(test.status, test.code, a.me())
			if challenge := got.header.Get("WWW-Authenticate"); test.status == 401 &&
				challenge != `Bearer error="invalid_token"` {
				t.Errorf("challenged with %q", challenge)
			}
			if after := got.header.Get("Retry-After"); (after != "") != (test.status == 503) {
				t.Errorf("status %d with Retry-After %q", test.status, after)
			}
			for _, line := range a.lines("request failed") {
				if strings.Contains(line["error"].(string), "panic") {
					t.Errorf("logged %v", line)
				}
			}
			a.expectHandled(0)
		})
	}
}

func TestAuthorize_receivesScopesOfOperation(t *testing.T) {
	t.Parallel()
	for name, scopes := range map[string][]string{"none": {}, "one": {"users:read"},
		"two": {"users:read", "roles:read"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var asked [][]string
			var acting principal.Principal
			a := start(t, func(s *setup) {
				s.contract.Paths.Find(mePath).Get.Security = &openapi3.SecurityRequirements{{"bearer": scopes}}
				s.Authorize = func(ctx context.Context, p *principal.Principal, scopes []string) (context.Context,
					error) {
					asked = append(asked, slices.Clone(scopes))
					acting = *p
					return ctx, nil
				}
			})
			a.expect(http.StatusOK, "", a.me())
			if len(asked) != 1 || !slices.Equal(asked[0], scopes) {
				t.Errorf("asked for %v, want %v", asked, scopes)
			}
			if acting.UserID != alice.UserID || acting.TenantID != alice.TenantID {
				t.Errorf("asked for %v", acting)
			}
		})
	}
}

func TestAuthorize_contextIsPassedToHandler(t *testing.T) {
	t.Parallel()
	type projection struct{}
	var seen any
	a := start(t, func(s *setup) {
		s.Authorize = func(ctx context.Context, _ *principal.Principal, _ []string) (context.Context, error) {
			return context.WithValue(ctx, projection{}, "fresh from the database"), nil
		}
	}, handling(func(ctx context.Context, _ any) error { seen = ctx.Value(projection{}); return nil }))
	a.expect(http.StatusOK, "", a.me())
	if seen != "fresh from the database" {
		t.Errorf("the handler saw %v", seen)
	}
}

func TestAuthenticate_outageIs503(t *testing.T) {
	t.Parallel()
	for name, outage := range map[string]error{
		"database_down":          fmt.Errorf("read signing keys: %w", errOutage),
		"taken_for_a_bad_token":  problem.Unauthorized("invalid_token", "No.").Because(errOutage),
		"deadline":               fmt.Errorf("read signing keys: %w", context.DeadlineExceeded),
		"said_to_be_unavailable": problem.Unavailable(errors.New("no keys yet")),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := start(t, func(s *setup) {
				s.Authenticate = func(context.Context, string) (*principal.Principal, error) { return nil, outage }
			})
			got := a.expect(http.StatusServiceUnavailable, "unavailable", a.me())
			if after := got.header.Get("Retry-After"); after != "1" {
				t.Errorf("Retry-After %q", after)
			}
			a.expectHandled(0)
		})
	}
}

func TestAuthenticate_anonymousPrincipalIs401(t *testing.T) {
	t.Parallel()
	for name, nobody := range map[string]*principal.Principal{"nil": nil, "zero": {},
		"user_without_tenant": {UserID: alice.UserID, Superuser: true}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := start(t, func(s *setup) {
				s.Authenticate = func(context.Context, string) (*principal.Principal, error) { return nobody, nil }
			})
			a.expect(http.StatusUnauthorized, "", a.me())
			a.expectHandled(0)
		})
	}
}

func TestPublicOperation_ignoresCredential(t *testing.T) {
	t.Parallel()
	for name, headers := range map[string][]string{
		"none":          nil,
		"bad":           {"Authorization: Bearer bad"},
		"basic":         {"Authorization: Basic x"},
		"two":           {"Authorization: Bearer a", "Authorization: Bearer b"},
		"more_than_8Ki": {"Authorization: Bearer " + strings.Repeat("x", 8<<10)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := start(t, handling(func(ctx context.Context, _ any) error {
				if _, ok := principal.FromContext(ctx); ok {
					t.Error("the context has a principal")
				}
				return nil
			}), func(s *setup) {
				s.Authorize = func(context.Context, *principal.Principal, []string) (context.Context, error) {
					return nil, errors.New("asked")
				}
			})
			a.expect(http.StatusOK, "", a.login(loginBody, headers...))
			a.expectHandled(1)
		})
	}
}

func TestPublicOperation_servesDuringOutageOfAuthentication(t *testing.T) {
	t.Parallel()
	a := start(t, func(s *setup) {
		s.Authenticate = func(context.Context, string) (*principal.Principal, error) { return nil, errOutage }
	})
	a.expect(http.StatusOK, "", a.login(loginBody, "Authorization: Bearer "+goodToken))
}
