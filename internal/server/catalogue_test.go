package server_test

import (
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"tenantry/internal/apitest"
	"tenantry/internal/database"
	"tenantry/internal/database/dbtest"
	"tenantry/internal/roles"
)

// A role with one permission of the catalogue grants its user that permission and no other.
func TestCatalogue_everyPermissionIsUsed(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		s := apitest.Start(t, opts)
		owner := s.CreateUser("acme", "second@acme.test", "owner")
		used := map[string]bool{}
		for i, permission := range roles.All() {
			id := s.CreateRole(owner.Access, "role of "+permission, permission)
			s.Expect(http.StatusOK, s.Call("PATCH", "/api/v1/roles/"+id, owner.Access,
				map[string]any{"permissions": []string{permission}}))
			ada := s.CreateUser("acme", "user"+string(rune('a'+i))+"@acme.test", "")
			s.Expect(http.StatusNoContent, s.Call("PUT", "/api/v1/users/"+ada.ID.String()+"/roles/"+id, owner.Access,
				nil))
			check := s.Expect(http.StatusOK, s.Call("POST", "/api/v1/permissions/check", ada.Access,
				map[string]any{"permissions": roles.All()}))
			if granted := `{"granted":true,"permission":"` + permission + `"}`; strings.Count(string(check.Body),
				`"granted":true`) != 1 || !strings.Contains(string(check.Body), granted) {
				t.Errorf("%s: checked %s", permission, check.Body)
			}
			for _, o := range declaredOperations(t) {
				if len(*o.Security) == 0 {
					continue
				}
				scopes := (*o.Security)[0]["bearer"]
				if len(scopes) == 0 || !strings.HasPrefix(o.pattern, "/api/v1/") {
					continue
				}
				path := strings.NewReplacer("{id}", uuid.NewString(), "{role_id}", uuid.NewString(), "{provider}",
					"missing").Replace(o.pattern)
				body := (&malformer{Rand: rand.New(rand.NewPCG(malformedSeed, 0)), TB: t}).draft(o).body
				// Callers cannot grant permissions that they lack.
				body = strings.ReplaceAll(body, roles.UsersRead, permission)
				var a apitest.Answer
				if body == "" {
					a = s.Call(o.method, path, ada.Access, nil)
				} else {
					a = s.Call(o.method, path, ada.Access, body)
				}
				if forbidden := a.Status == http.StatusForbidden; forbidden == slices.Equal(scopes,
					[]string{permission}) {
					t.Errorf("%s: %s %s: %d %s", permission, o.method, o.pattern, a.Status, a.Body)
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
