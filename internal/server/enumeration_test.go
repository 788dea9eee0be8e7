package server_test

import (
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"tenantry/ent/tenant"
	"tenantry/internal/apitest"
	"tenantry/internal/database"
	"tenantry/internal/database/dbtest"
	"tenantry/internal/principal"
)

// A client without a credential cannot find out which tenants exist: for a tenant that does not
// exist, or is suspended, each endpoint returns the same response as for a tenant without settings,
// with the same number of statements.
func TestTenants_cannotBeEnumerated(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		i := apitest.NewIssuer(t)
		s := apitest.Start(t, opts, i.Configure("corporate"))
		s.ChangeSettings("acme", apitest.OpenToProviders) // the default tenant, which must not be used for these flows
		known := s.Expect(http.StatusOK, s.Browser().Visit(apitest.AuthorizePath))
		s.CreateTenant("other")
		s.CreateUser("other", "ada@acme.test", "member")
		i.Change(func() { i.Claims["email_verified"] = false }) // the address may belong to another person
		s.CreateTenant("suspended")
		ctx := principal.System(t.Context(), "test")
		s.DB.Client.Tenant.Update().Where(tenant.Slug("suspended")).SetIsActive(false).ExecX(ctx)
		users := s.Rows("users")

		for name, request := range anonymousRequests(t, s) {
			shape := func(slug string) (shapes []string) {
				s.Forget()
				s.Browser().UntilCallback(apitest.AuthorizePath + "?tenant=unknown") // the default tenant is cached
				s.CatchUp()
				for _, a := range request(slug) {
					shapes = append(shapes, shapeOf(t, a))
				}
				return shapes
			}
			want := shape("other")
			for _, slug := range []string{"nobody", "suspended"} {
				if got := shape(slug); !slices.Equal(got, want) {
					t.Errorf("%s: tenant %s is answered\n%s\nand one that exists\n%s", name, slug,
						strings.Join(got, "\n"), strings.Join(want, "\n"))
				}
			}
		}
		if n := s.Rows("users"); n != users {
			t.Errorf("%d users are created", n-users)
		}
		s.Expect(http.StatusOK, s.Call("GET", apitest.MePath, known.Field(t, "access_token"), nil))
	})
}

// anonymousRequests returns requests without a credential for a tenant.
func anonymousRequests(t *testing.T, s *apitest.Instance) map[string]func(slug string) []apitest.Answer {
	return map[string]func(slug string) []apitest.Answer{
		"sign in at a provider": func(slug string) []apitest.Answer {
			b := s.Browser()
			end := b.Visit(apitest.AuthorizePath + "?tenant=" + slug)
			if b.Hops[0].Status != http.StatusSeeOther || end.Status != http.StatusForbidden {
				t.Errorf("%s: %d and %d", slug, b.Hops[0].Status, end.Status)
			}
			return b.Hops
		},
		"repeat a callback": func(slug string) []apitest.Answer {
			b := s.Browser()
			callback := b.UntilCallback(apitest.AuthorizePath + "?tenant=" + slug)
			return []apitest.Answer{b.Visit(callback), b.Visit(callback)}
		},
		"another redirect URI": func(slug string) []apitest.Answer {
			return []apitest.Answer{s.Browser().Visit(apitest.AuthorizeToApplication + "&tenant=" + slug)}
		},
		"another provider": func(slug string) []apitest.Answer {
			return []apitest.Answer{s.Browser().Visit("/api/v1/auth/oauth/nobody/authorize?tenant=" + slug)}
		},
		"provider options": func(slug string) []apitest.Answer {
			return []apitest.Answer{s.Call("GET", "/api/v1/auth/oauth/providers?tenant="+slug, "", nil)}
		},
		"sign in": func(slug string) []apitest.Answer {
			return []apitest.Answer{s.Call("POST", "/api/v1/auth/login", "",
				map[string]string{"tenant": slug, "email": "a@b.test", "password": "x"})}
		},
		"register": func(slug string) []apitest.Answer {
			return []apitest.Answer{s.Call("POST", "/api/v1/auth/register", "",
				map[string]string{"tenant": slug, "email": "a@b.test", "password": apitest.OwnerPassword})}
		},
	}
}

// shapeOf returns the parts of a response that are not random.
func shapeOf(t *testing.T, a apitest.Answer) string {
	t.Helper()
	at, err := url.Parse(a.Header.Get("Location"))
	if err != nil {
		t.Fatal(err)
	}
	cookies := []string{} // the names, without the suffix of the flow
	for _, c := range a.Header.Values("Set-Cookie") {
		name, _, _ := strings.Cut(c, "=")
		cookies = append(cookies, name[:min(len(name), 22)])
	}
	a.Header = a.Header.Clone()
	a.Header.Del("Set-Cookie")
	statements, body := a.Statements(t), string(a.Body)
	if a.Header.Get("Content-Type") == "application/problem+json" {
		body = withoutID(t, a)
	}
	return strings.Join([]string{
		http.StatusText(a.Status), at.Host + at.Path, strings.Join(slices.Sorted(maps.Keys(at.Query())), " "),
		strings.Join(cookies, " "), statements, body,
	}, "|")
}
