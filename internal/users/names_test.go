package users_test

import (
	"maps"
	"net/http"
	"strings"
	"testing"

	"github.com/google/uuid"

	"tenantry/internal/apitest"
	"tenantry/internal/config"
	"tenantry/internal/database"
	"tenantry/internal/database/dbtest"
)

// nameTest is an operation that stores a name.
type nameTest struct {
	name, method, path, access, pointer, member string
	body                                        func(name string) any
}

func TestNames_areTrimmedAndNormalisedOrRefused(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		s := apitest.Start(t, opts, func(c *config.Config) { c.Signup = config.SignupOpen })
		s.CreateTenant("other")
		other := s.CreateUser("other", "owner@other.test", "owner")
		root, _ := s.Login()
		ada := s.CreateUser("acme", "ada@acme.test", "member")
		custom := s.CreateRole(root, "custom", "users:read")
		provider := s.Expect(http.StatusCreated,
			s.Call("POST", apitest.ProvidersPath, root, apitest.ProviderBody("corporate", nil))).Field(t, "id")
		tests := append(userNames(root, ada), tenantNames(root, other)...)
		for _, test := range append(tests, labels(root, custom, provider)...) {
			checkName(t, s, test)
		}
	})
}

// account returns a valid account with a new address.
func account(members map[string]any) map[string]any {
	body := map[string]any{"email": uuid.NewString() + "@acme.test", "password": apitest.OwnerPassword}
	maps.Copy(body, members)
	return body
}

func newSlug() string { return "t-" + uuid.NewString()[:8] }

func userNames(root string, ada apitest.Account) []nameTest {
	return []nameTest{
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
	}
}

func tenantNames(root string, other apitest.Account) []nameTest {
	return []nameTest{
		{"create tenant", "POST", "/api/v1/tenants", root, "/name", "name", func(v string) any {
			return map[string]any{"slug": newSlug(), "name": v, "owner": account(nil)}
		}},
		{"create tenant, its owner", "POST", "/api/v1/tenants", root, "/owner/full_name", "", func(v string) any {
			return map[string]any{"slug": newSlug(), "name": "x", "owner": account(map[string]any{"full_name": v})}
		}},
		{"sign up", "POST", "/api/v1/signup", "", "/tenant/name", "", func(v string) any {
			return account(map[string]any{"tenant": map[string]any{"slug": newSlug(), "name": v}})
		}},
		{"sign up, the owner", "POST", "/api/v1/signup", "", "/full_name", "", func(v string) any {
			return account(map[string]any{"tenant": map[string]any{"slug": newSlug(), "name": "x"}, "full_name": v})
		}},
		{"update tenant", "PATCH", "/api/v1/tenants/" + other.TenantID.String(), root, "/name", "name",
			func(v string) any {
				return map[string]any{"name": v}
			}},
		{"update own tenant", "PATCH", "/api/v1/tenant", root, "/name", "name", func(v string) any {
			return map[string]any{"name": v}
		}},
	}
}

func labels(root, custom, provider string) []nameTest {
	return []nameTest{
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
		{"update provider", "PATCH", apitest.ProvidersPath + "/" + provider, root, "/label", "label",
			func(v string) any {
				return map[string]any{"label": v}
			}},
	}
}

// checkName checks that an operation refuses invisible characters, and trims and normalises.
func checkName(t *testing.T, s *apitest.Instance, test nameTest) {
	t.Helper()
	for _, hidden := range []string{"Ad\u200ba", "Ada\u202e", "\ufeffAda", "A\u00adda", "Ada\u3164",
		"Ada\ue000", "Ada\u2028Bob"} {
		a := s.Call(test.method, test.path, test.access, test.body(hidden))
		if a.Status != http.StatusUnprocessableEntity ||
			!strings.Contains(string(a.Body), `"`+test.pointer+`"`) || !strings.Contains(string(a.Body), "U+") {
			t.Errorf("%s: %+q: %d %s", test.name, hidden, a.Status, a.Body)
		}
	}
	a := s.Call(test.method, test.path, test.access, test.body("\u2003Cafe\u0301\u00a0One "))
	if a.Status >= 300 || test.member != "" && a.Field(t, test.member) != "Caf\u00e9 One" {
		t.Errorf("%s: %d %s", test.name, a.Status, a.Body)
	}
	for _, length := range []int{100, 200, 500} { // NFC makes two code points of each
		a := s.Call(test.method, test.path, test.access, test.body(strings.Repeat("\u0958", length)))
		if a.Status >= 300 && a.Status != http.StatusUnprocessableEntity {
			t.Errorf("%s: %d letters: %d %s", test.name, length, a.Status, a.Body)
		}
	}
	a = s.Call(test.method, test.path, test.access, test.body("\u2003"))
	if mayBeEmpty := strings.HasSuffix(test.pointer, "full_name") ||
		test.pointer == "/description"; a.Status >= 300 &&
		(mayBeEmpty || a.Status != http.StatusUnprocessableEntity) ||
		a.Status < 300 && !mayBeEmpty {
		t.Errorf("%s: a blank name: %d %s", test.name, a.Status, a.Body)
	}
}
