package server_test

import (
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"tenantry/ent/tenant"
	"tenantry/internal/database"
	"tenantry/internal/database/dbtest"
	"tenantry/internal/principal"
)

// A stranger does not learn which tenants exist: each endpoint without a credential answers for a
// tenant that does not exist, or is suspended, as for one that has set up nothing, with as many
// statements.
func TestTenants_cannotBeEnumerated(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		i := newIssuer(t)
		s := start(t, opts, i.offer("corporate"))
		s.set("acme", welcoming) // the default tenant, which must not take these flows for its own
		known := s.expect(http.StatusOK, s.browser().visit(authorizePath))
		s.found("other")
		s.join("other", "ada@acme.test", "member")
		i.change(func() { i.person["email_verified"] = false }) // of an address that may be another person's
		s.found("suspended")
		ctx := principal.System(t.Context(), "test")
		s.db.Client.Tenant.Update().Where(tenant.Slug("suspended")).SetIsActive(false).ExecX(ctx)
		users := s.rows("users")

		requests := map[string]func(slug string) []answer{
			"go to a provider and come back": func(slug string) []answer {
				b := s.browser()
				end := b.visit(authorizePath + "?tenant=" + slug)
				if b.hops[0].status != http.StatusSeeOther || end.status != http.StatusForbidden {
					t.Errorf("%s: %d and %d", slug, b.hops[0].status, end.status)
				}
				return b.hops
			},
			"come back twice": func(slug string) []answer {
				b := s.browser()
				callback := b.returning(authorizePath + "?tenant=" + slug)
				return []answer{b.visit(callback), b.visit(callback)}
			},
			"another redirect URI": func(slug string) []answer {
				return []answer{s.browser().visit(withAddress + "&tenant=" + slug)}
			},
			"another provider": func(slug string) []answer {
				return []answer{s.browser().visit("/api/v1/auth/oauth/nobody/authorize?tenant=" + slug)}
			},
			"provider options": func(slug string) []answer {
				return []answer{s.call("GET", "/api/v1/auth/oauth/providers?tenant="+slug, "", nil)}
			},
			"sign in": func(slug string) []answer {
				return []answer{s.call("POST", "/api/v1/auth/login", "", map[string]string{"tenant": slug, "email": "a@b.test", "password": "x"})}
			},
			"register": func(slug string) []answer {
				return []answer{s.call("POST", "/api/v1/auth/register", "", map[string]string{"tenant": slug, "email": "a@b.test", "password": ownerPassword})}
			},
		}
		for name, request := range requests {
			shape := func(slug string) (shapes []string) {
				s.server.Forget()
				s.browser().returning(authorizePath + "?tenant=unknown") // the default tenant is cached
				s.server.CatchUp()
				for _, a := range request(slug) {
					shapes = append(shapes, shapeOf(t, a))
				}
				return shapes
			}
			want := shape("other")
			for _, slug := range []string{"nobody", "suspended"} {
				if got := shape(slug); !slices.Equal(got, want) {
					t.Errorf("%s: tenant %s is answered\n%s\nand one that exists\n%s", name, slug, strings.Join(got, "\n"), strings.Join(want, "\n"))
				}
			}
		}
		if n := s.rows("users"); n != users {
			t.Errorf("%d users are created", n-users)
		}
		s.expect(http.StatusOK, s.call("GET", mePath, known.field(t, "access_token"), nil))
	})
}

// shapeOf is what an answer tells, without what is random in every answer.
func shapeOf(t *testing.T, a answer) string {
	t.Helper()
	at, err := url.Parse(a.header.Get("Location"))
	if err != nil {
		t.Fatal(err)
	}
	cookies := []string{} // the names, without the letters of the flow
	for _, c := range a.header.Values("Set-Cookie") {
		name, _, _ := strings.Cut(c, "=")
		cookies = append(cookies, name[:min(len(name), 22)])
	}
	a.header = a.header.Clone()
	a.header.Del("Set-Cookie")
	statements, body := a.statements(t), string(a.body)
	if a.header.Get("Content-Type") == "application/problem+json" {
		body = withoutID(t, a)
	}
	return strings.Join([]string{
		http.StatusText(a.status), at.Host + at.Path, strings.Join(slices.Sorted(maps.Keys(at.Query())), " "),
		strings.Join(cookies, " "), statements, body,
	}, "|")
}
