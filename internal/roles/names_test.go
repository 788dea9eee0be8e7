package roles_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"tenantry/ent/role"
	"tenantry/internal/apitest"
	"tenantry/internal/database"
	"tenantry/internal/database/dbtest"
	"tenantry/internal/principal"
)

// resembling are names that a person or a service could confuse with those of system roles.
var resembling = []string{
	"owner ", " owner", "OWNER", "Owner", "own\u200ber", "owner\ufeff", "own\u00ader", "own\u200der",
	"\uff4f\uff57\uff4e\uff45\uff52", "\u043ewner", "\u03bfwner",
	"0wner", "\u00f3wner", "ADMIN", "adm\u0131n", "Adm1n", "adrnin", "Member\u00a0", "mem\u2060ber", "\U0001d428wner",
	"owner\u3164", "\u202eowner",
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

func TestRole_nameResemblingSystemRoleIsRefused(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		s := apitest.Start(t, opts)
		admin := s.CreateUser("acme", "admin@acme.test", "admin")
		id := s.CreateRole(admin.Access, "support", "users:read")
		for _, name := range resembling {
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
		stored := s.DB.Client.Role.Query().Where(role.TenantID(admin.TenantID)).Select(role.FieldName).
			StringsX(principal.System(t.Context(), "test"))
		if slices.Sort(stored); !slices.Equal(stored, []string{"admin", "member", "owner", "support"}) {
			t.Errorf("stored %+q", stored)
		}
	})
}

func TestRole_nameIsUniqueIgnoringCase(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		s := apitest.Start(t, opts)
		s.CreateTenant("other")
		owner, other := s.CreateUser("acme", "second@acme.test", "owner"),
			s.CreateUser("other", "owner@other.test", "owner")
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
		s.Expect(http.StatusOK, s.Call("PATCH", "/api/v1/roles/"+id, owner.Access,
			map[string]any{"name": "STRASSE \u00c9"}))
		s.CreateRole(other.Access, "Stra\u00dfe \u00c9", "users:read")
	})
}

func TestRole_concurrentEqualNamesAreStoredOnce(t *testing.T) {
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
				statuses[0] = first.Call("POST", "/api/v1/roles", owner.Access,
					map[string]any{"name": name, "permissions": []string{}}).Status
			})
			all.Go(func() {
				statuses[1] = second.Call("POST", "/api/v1/roles", owner.Access,
					map[string]any{"name": strings.ToUpper(name), "permissions": []string{}}).Status
			})
			all.Go(func() {
				statuses[2] = second.Call("PATCH", "/api/v1/roles/"+spare, owner.Access,
					map[string]any{"name": strings.Title(name)}).Status //nolint:staticcheck // ASCII
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

// A role that an earlier version has stored keeps its name and permissions. Tokens omit it if its
// name resembles that of a system role.
func TestToken_omitsStoredRoleResemblingSystemRole(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		s := apitest.Start(t, opts)
		owner, ada := s.CreateUser("acme", "second@acme.test", "owner"), s.CreateUser("acme", "ada@acme.test", "member")
		var ids []string
		for i, name := range append([]string{"support"}, resembling...) {
			id := s.CreateRole(owner.Access, fmt.Sprint("role ", i), "roles:read")
			// As an earlier version stored it.
			if _, err := s.DB.Client.ExecContext(t.Context(), "UPDATE roles SET name = '"+name+"' WHERE id = '"+id+
				"'"); err != nil {
				t.Fatal(err)
			}
			ids = append(ids, id)
		}
		s.Expect(http.StatusOK, s.Call("PUT", "/api/v1/users/"+ada.ID.String()+"/roles", owner.Access,
			map[string]any{"role_ids": append(ids, s.SystemRole(ada, "member"))}))
		ada = s.SignIn("acme", ada.User)
		claims := roleClaims(t, ada.Access)
		if slices.Sort(claims); !slices.Equal(claims, []string{"member", "support"}) {
			t.Errorf("the token has the roles %+q", claims)
		}
		s.Expect(http.StatusOK, s.Call("GET", "/api/v1/roles", ada.Access, nil))
		// Its other fields can be changed, and it can be renamed.
		s.Expect(http.StatusOK, s.Call("PATCH", "/api/v1/roles/"+ids[3], owner.Access,
			map[string]any{"description": "x"}))
		s.Expect(http.StatusOK, s.Call("PATCH", "/api/v1/roles/"+ids[3], owner.Access,
			map[string]any{"name": "renamed"}))
	})
}
