package server_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"

	"tenantry/ent/role"
	"tenantry/internal/apitest"
	"tenantry/internal/config"
	"tenantry/internal/database"
	"tenantry/internal/database/dbtest"
	"tenantry/internal/principal"
)

// posing are names that a person or a service may take for those of system roles.
var posing = []string{
	"owner ", " owner", "OWNER", "Owner", "own\u200ber", "owner\ufeff", "own\u00ader", "own\u200der", "\uff4f\uff57\uff4e\uff45\uff52", "\u043ewner", "\u03bfwner",
	"0wner", "\u00f3wner", "ADMIN", "adm\u0131n", "Adm1n", "adrnin", "Member\u00a0", "mem\u2060ber", "\U0001d428wner", "owner\u3164", "\u202eowner",
}

// roleClaims returns the roles in an access token.
func roleClaims(t *testing.T, token string) []string {
	t.Helper()
	var claims struct{ Roles []string }
	payload, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[1])
	if err == nil {
		err = json.Unmarshal(payload, &claims)
	}
	if err != nil {
		t.Fatal(err)
	}
	return claims.Roles
}

func TestRole_nameOfASystemRoleInDisguiseIsRefused(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		s := apitest.Start(t, opts)
		admin := s.CreateUser("acme", "admin@acme.test", "admin")
		id := s.CreateRole(admin.Access, "support", "users:read")
		for _, name := range posing {
			for _, a := range []apitest.Answer{
				s.Call("POST", "/api/v1/roles", admin.Access, map[string]any{"name": name, "permissions": []string{}}),
				s.Call("PATCH", "/api/v1/roles/"+id, admin.Access, map[string]any{"name": name}),
			} {
				pointed := a.Status == http.StatusUnprocessableEntity && strings.Contains(string(a.Body), `"/name"`)
				if !pointed && (a.Status != http.StatusConflict || a.Field(t, "code") != "role_name_taken") {
					t.Errorf("%+q: %d %s", name, a.Status, a.Body)
				}
			}
		}
		stored := s.DB.Client.Role.Query().Where(role.TenantID(admin.TenantID)).Select(role.FieldName).StringsX(principal.System(t.Context(), "test"))
		if slices.Sort(stored); !slices.Equal(stored, []string{"admin", "member", "owner", "support"}) {
			t.Errorf("stored %+q", stored)
		}
	})
}

func TestRole_nameIsUniqueWithoutRegardToCase(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		s := apitest.Start(t, opts)
		s.CreateTenant("other")
		owner, other := s.CreateUser("acme", "second@acme.test", "owner"), s.CreateUser("other", "owner@other.test", "owner")
		id := s.CreateRole(owner.Access, " Stra\u00dfe \u00c9 ", "users:read")
		if got := s.Call("GET", "/api/v1/roles/"+id, owner.Access, nil).Field(t, "name"); got != "Stra\u00dfe \u00c9" {
			t.Errorf("stored %+q", got)
		}
		second := s.CreateRole(owner.Access, "second", "users:read")
		for _, name := range []string{"STRASSE \u00e9", "stra\u1e9ee  E\u0301", "\uff33tra\u00dfe\u00a0\u00c9"} {
			for _, a := range []apitest.Answer{
				s.Call("POST", "/api/v1/roles", owner.Access, map[string]any{"name": name, "permissions": []string{}}),
				s.Call("PATCH", "/api/v1/roles/"+second, owner.Access, map[string]any{"name": name}),
			} {
				if a.Status != http.StatusConflict || a.Field(t, "code") != "role_name_taken" {
					t.Errorf("%+q: %d %s", name, a.Status, a.Body)
				}
			}
		}
		// The role itself may change the case of its name, and another tenant may have the name.
		s.Expect(http.StatusOK, s.Call("PATCH", "/api/v1/roles/"+id, owner.Access, map[string]any{"name": "STRASSE \u00c9"}))
		s.CreateRole(other.Access, "Stra\u00dfe \u00c9", "users:read")
	})
}

func TestRole_sameNameAtOnceOnTwoInstancesIsStoredOnce(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		first, second := apitest.Start(t, opts), apitest.Start(t, opts)
		owner := first.CreateUser("acme", "second@acme.test", "owner")
		for round := range 25 {
			spare := first.CreateRole(owner.Access, fmt.Sprint("spare ", round), "users:read")
			name := fmt.Sprint("team ", round)
			statuses := make([]int, 3)
			var all sync.WaitGroup
			all.Go(func() {
				statuses[0] = first.Call("POST", "/api/v1/roles", owner.Access, map[string]any{"name": name, "permissions": []string{}}).Status
			})
			all.Go(func() {
				statuses[1] = second.Call("POST", "/api/v1/roles", owner.Access, map[string]any{"name": strings.ToUpper(name), "permissions": []string{}}).Status
			})
			all.Go(func() {
				statuses[2] = second.Call("PATCH", "/api/v1/roles/"+spare, owner.Access, map[string]any{"name": strings.Title(name)}).Status //nolint:staticcheck // ASCII
			})
			all.Wait()
			won := 0
			for _, status := range statuses {
				if status < 300 {
					won++
				} else if status != http.StatusConflict {
					t.Errorf("round %d: statuses %v", round, statuses)
				}
			}
			if won != 1 {
				t.Fatalf("round %d: statuses %v", round, statuses)
			}
		}
	})
}

// A role that an earlier version has stored keeps its name and its permissions, and is not put into
// tokens under a name that a service may take for a system role.
func TestToken_storedRoleInTheGuiseOfASystemRoleIsLeftOut(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		s := apitest.Start(t, opts)
		owner, ada := s.CreateUser("acme", "second@acme.test", "owner"), s.CreateUser("acme", "ada@acme.test", "member")
		var ids []string
		for i, name := range append([]string{"support"}, posing...) {
			id := s.CreateRole(owner.Access, fmt.Sprint("role ", i), "roles:read")
			// As the earlier version has written it.
			if _, err := s.DB.Client.ExecContext(t.Context(), "UPDATE roles SET name = '"+name+"' WHERE id = '"+id+"'"); err != nil {
				t.Fatal(err)
			}
			ids = append(ids, id)
		}
		s.Expect(http.StatusOK, s.Call("PUT", "/api/v1/users/"+ada.ID.String()+"/roles", owner.Access, map[string]any{"role_ids": append(ids, s.SystemRole(ada, "member"))}))
		ada = s.SignIn("acme", ada.User)
		claims := roleClaims(t, ada.Access)
		if slices.Sort(claims); !slices.Equal(claims, []string{"member", "support"}) {
			t.Errorf("the token has the roles %+q", claims)
		}
		s.Expect(http.StatusOK, s.Call("GET", "/api/v1/roles", ada.Access, nil))
		// It can be changed in everything else, and renamed.
		s.Expect(http.StatusOK, s.Call("PATCH", "/api/v1/roles/"+ids[3], owner.Access, map[string]any{"description": "x"}))
		s.Expect(http.StatusOK, s.Call("PATCH", "/api/v1/roles/"+ids[3], owner.Access, map[string]any{"name": "renamed"}))
	})
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
		made := s.Expect(http.StatusCreated, s.Call("POST", apitest.ProvidersPath, root, apitest.ProviderBody("corporate", nil))).Field(t, "id")
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
			{"register", "POST", "/api/v1/auth/register", "", "/full_name", "", func(v string) any { return account(map[string]any{"tenant": "acme", "full_name": v}) }},
			{"create user", "POST", "/api/v1/users", root, "/full_name", "full_name", func(v string) any { return account(map[string]any{"full_name": v}) }},
			{"update user", "PATCH", "/api/v1/users/" + ada.ID.String(), root, "/full_name", "full_name", func(v string) any { return map[string]any{"full_name": v} }},
			{"update oneself", "PATCH", "/api/v1/users/me", ada.Access, "/full_name", "full_name", func(v string) any { return map[string]any{"full_name": v} }},
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
			{"update tenant", "PATCH", "/api/v1/tenants/" + other.TenantID.String(), root, "/name", "name", func(v string) any { return map[string]any{"name": v} }},
			{"update own tenant", "PATCH", "/api/v1/tenant", root, "/name", "name", func(v string) any { return map[string]any{"name": v} }},
			{"describe role", "PATCH", "/api/v1/roles/" + custom, root, "/description", "description", func(v string) any { return map[string]any{"description": v} }},
			{"describe new role", "POST", "/api/v1/roles", root, "/description", "description", func(v string) any {
				return map[string]any{"name": uuid.NewString(), "description": v, "permissions": []string{}}
			}},
			{"create provider", "POST", apitest.ProvidersPath, root, "/label", "label", func(v string) any { return apitest.ProviderBody("p"+uuid.NewString()[:8], map[string]any{"label": v}) }},
			{"update provider", "PATCH", apitest.ProvidersPath + "/" + made, root, "/label", "label", func(v string) any { return map[string]any{"label": v} }},
		} {
			for _, hidden := range []string{"Ad\u200ba", "Ada\u202e", "\ufeffAda", "A\u00adda", "Ada\u3164", "Ada\ue000", "Ada\u2028Bob"} {
				a := s.Call(test.method, test.path, test.access, test.body(hidden))
				if a.Status != http.StatusUnprocessableEntity || !strings.Contains(string(a.Body), `"`+test.pointer+`"`) || !strings.Contains(string(a.Body), "U+") {
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
			if mayBeEmpty := strings.HasSuffix(test.pointer, "full_name") || test.pointer == "/description"; a.Status >= 300 && (mayBeEmpty || a.Status != http.StatusUnprocessableEntity) ||
				a.Status < 300 && !mayBeEmpty {
				t.Errorf("%s: a blank name: %d %s", test.what, a.Status, a.Body)
			}
		}
	})
}

func TestCommands_namesAreTrimmedAndNormalisedOrRefused(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		s := apitest.Start(t, opts)
		command := apitest.Command(t, opts)
		create := func(tenant, fullName string) (err error) {
			_, err = command(apitest.OwnerPassword, "tenant", "create", "t-"+uuid.NewString()[:8], "--name="+tenant, "--owner=owner@beta.test", apitest.PasswordFromStdin)
			if err == nil {
				_, err = command(apitest.OwnerPassword, "user", "create", "--tenant=acme", "--email="+uuid.NewString()+"@acme.test", "--full-name="+fullName, apitest.PasswordFromStdin)
			}
			return err
		}
		for _, wrong := range [][]string{{"Be\u200bta", "Ada"}, {"Beta", "Ad\u202ea"}, {"Beta\x1b[31m", "Ada"}, {"Beta", "Ada\nBob"}} {
			if err := create(wrong[0], wrong[1]); err == nil || !strings.Contains(err.Error(), "U+") {
				t.Errorf("%+q: %v", wrong, err)
			}
		}
		if err := create(" Cafe\u0301 ", "\u00a0Ada\u2003King "); err != nil {
			t.Fatal(err)
		}
		ctx := principal.System(t.Context(), "test")
		tenants := s.DB.Client.Tenant.Query().Select("name").StringsX(ctx)
		users := s.DB.Client.User.Query().Select("full_name").StringsX(ctx)
		if !slices.Contains(tenants, "Caf\u00e9") || !slices.Contains(users, "Ada King") {
			t.Errorf("stored %+q and %+q", tenants, users)
		}
	})
}
