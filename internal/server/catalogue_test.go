package server_test

import (
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"tenantry/internal/database"
	"tenantry/internal/database/dbtest"
	"tenantry/internal/roles"
)

// Each permission of the catalogue makes a role, which a user holds, checks and uses, and of no
// other permission.
func TestCatalogue_everyPermissionMakesARoleThatIsUsed(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		s := start(t, opts)
		owner := s.join("acme", "second@acme.test", "owner")
		used := map[string]bool{}
		for i, permission := range roles.All() {
			id := s.makeRole(owner.access, "role of "+permission, permission)
			s.expect(http.StatusOK, s.call("PATCH", "/api/v1/roles/"+id, owner.access, map[string]any{"permissions": []string{permission}}))
			ada := s.join("acme", "user"+string(rune('a'+i))+"@acme.test", "")
			s.expect(http.StatusNoContent, s.call("PUT", "/api/v1/users/"+ada.ID.String()+"/roles/"+id, owner.access, nil))
			check := s.expect(http.StatusOK, s.call("POST", "/api/v1/permissions/check", ada.access, map[string]any{"permissions": roles.All()}))
			if granted := `{"granted":true,"permission":"` + permission + `"}`; strings.Count(string(check.body), `"granted":true`) != 1 || !strings.Contains(string(check.body), granted) {
				t.Errorf("%s: checked %s", permission, check.body)
			}
			for _, o := range declaredOperations(t) {
				if len(*o.Security) == 0 {
					continue
				}
				scopes := (*o.Security)[0]["bearer"]
				if len(scopes) == 0 || !strings.HasPrefix(o.pattern, "/api/v1/") {
					continue
				}
				path := strings.NewReplacer("{id}", uuid.NewString(), "{role_id}", uuid.NewString(), "{provider}", "missing").Replace(o.pattern)
				body := (&malformer{Rand: rand.New(rand.NewPCG(malformedSeed, 0)), TB: t}).draft(o).body
				body = strings.ReplaceAll(body, roles.UsersRead, permission) // nobody grants what they do not hold
				var a answer
				if body == "" {
					a = s.call(o.method, path, ada.access, nil)
				} else {
					a = s.call(o.method, path, ada.access, body)
				}
				if forbidden := a.status == http.StatusForbidden; forbidden == slices.Equal(scopes, []string{permission}) {
					t.Errorf("%s: %s %s: %d %s", permission, o.method, o.pattern, a.status, a.body)
				} else if !forbidden {
					used[permission] = true
				}
			}
		}
		for _, permission := range roles.All() {
			if !used[permission] {
				t.Errorf("no operation asks for %s", permission)
			}
		}
	})
}
