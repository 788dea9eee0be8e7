package users_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/uuid"

	"tenantry/internal/apitest"
	"tenantry/internal/config"
	"tenantry/internal/database"
	"tenantry/internal/database/dbtest"
)

func TestNames_areTrimmedAndNormalisedOrRefused(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		s := apitest.Start(t, opts, func(c *config.Config) { c.Signup = config.SignupOpen })
		s.CreateTenant("other")
		other := s.CreateUser("other", "owner@other.test", "owner")
		root, _ := s.Login()
		ada := s.CreateUser("acme", "ada@acme.test", "member")
		custom := s.CreateRole(root, "custom", "users:read")
		made := s.Expect(http.StatusCreated,
			s.Call("POST", apitest.ProvidersPath, root, apitest.ProviderBody("corporate", nil))).Field(t, "id")
		n := 0
		account := func(member map[string]any) map[string]any {
			n++
			body := map[string]any{"email": fmt.Sprintf("user%d@acme.test", n), "password": apitest.OwnerPassword}
			for k, v := range member {
				body[k] = v
			}
			return body
		}
		slug := func() string { return "t-" + uuid.NewString()[:8] }
		for _, test := range []struct {
			what, method, path, access, pointer, member string
			body                                        func(name string) any
		}{
			{"register", "POST", "/api/v1/auth/register", "", "/full_name", "", func(v string) any {
				return account(map[string]any{"tenant": "acme", "full_name": v})
			}},
			{"create user", "POST", "/api/v1/users", root, "/full_name", "full_name", func(v string) any {
				return account(map[string]any{"full_name": v})
			}},
			{"update user", "PATCH", "/api/v1/users/" + ada.ID.String(), root, "/full_name", "full_name",
				func(v string) any {
					return map[string]any{"full_name": v}
				}},
			{"update oneself", "PATCH", "/api/v1/users/me", ada.Access, "/full_name", "full_name", func(v string) any {
				return map[string]any{"full_name": v}
			}},
			{"create tenant", "POST", "/api/v1/tenants", root, "/name", "name", func(v string) any {
				return map[string]any{"slug": slug(), "name": v, "owner": account(nil)}
			}},
			{"create tenant, its owner", "POST", "/api/v1/tenants", root, "/owner/full_name", "", func(v string) any {
				return map[string]any{"slug": slug(), "name": "x", "owner": account(map[string]any{"full_name": v})}
			}},
			{"sign up", "POST", "/api/v1/signup", "", "/tenant/name", "", func(v string) any {
				return account(map[string]any{"tenant": map[string]any{"slug": slug(), "name": v}})
			}},
			{"sign up, the owner", "POST", "/api/v1/signup", "", "/full_name", "", func(v string) any {
				return account(map[string]any{"tenant": map[string]any{"slug": slug(), "name": "x"}, "full_name": v})
			}},
			{"update tenant", "PATCH", "/api/v1/tenants/" + other.TenantID.String(), root, "/name", "name",
				func(v string) any {
					return map[string]any{"name": v}
				}},
			{"update own tenant", "PATCH", "/api/v1/tenant", root, "/name", "name", func(v string) any {
				return map[string]any{"name": v}
			}},
			{"describe role", "PATCH", "/api/v1/roles/" + custom, root, "/description", "description",
				func(v string) any {
					return map[string]any{"description": v}
				}},
			{"describe new role", "POST", "/api/v1/roles", root, "/description", "description", func(v string) any {
				return map[string]any{"name": uuid.NewString(), "description": v, "permissions": []string{}}
			}},
			{"create provider", "POST", apitest.ProvidersPath, root, "/label", "label", func(v string) any {
				return apitest.ProviderBody("p"+uuid.NewString()[:8], map[string]any{"label": v})
			}},
			{"update provider", "PATCH", apitest.ProvidersPath + "/" + made, root, "/label", "label",
				func(v string) any {
					return map[string]any{"label": v}
				}},
		} {
			for _, hidden := range []string{"Ad\u200ba", "Ada\u202e", "\ufeffAda", "A\u00adda", "Ada\u3164",
				"Ada\ue000", "Ada\u2028Bob"} {
				a := s.Call(test.method, test.path, test.access, test.body(hidden))
				if a.Status != http.StatusUnprocessableEntity ||
					!strings.Contains(string(a.Body), `"`+test.pointer+`"`) || !strings.Contains(string(a.Body), "U+") {
					t.Errorf("%s: %+q: %d %s", test.what, hidden, a.Status, a.Body)
				}
			}
			a := s.Call(test.method, test.path, test.access, test.body("\u2003Cafe\u0301\u00a0One "))
			if a.Status >= 300 || test.member != "" && a.Field(t, test.member) != "Caf\u00e9 One" {
				t.Errorf("%s: %d %s", test.what, a.Status, a.Body)
			}
			for _, length := range []int{100, 200, 500} { // NFC makes two code points of each
				a := s.Call(test.method, test.path, test.access, test.body(strings.Repeat("\u0958", length)))
				if a.Status >= 300 && a.Status != http.StatusUnprocessableEntity {
					t.Errorf("%s: %d letters: %d %s", test.what, length, a.Status, a.Body)
				}
			}
			a = s.Call(test.method, test.path, test.access, test.body("\u2003"))
			if mayBeEmpty := strings.HasSuffix(test.pointer, "full_name") ||
				test.pointer == "/description"; a.Status >= 300 &&
				(mayBeEmpty || a.Status != http.StatusUnprocessableEntity) ||
				a.Status < 300 && !mayBeEmpty {
				t.Errorf("%s: a blank name: %d %s", test.what, a.Status, a.Body)
			}
		}
	})
}
