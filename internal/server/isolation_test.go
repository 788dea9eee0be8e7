package server_test

import (
	"fmt"
	"testing"

	"tenantry/ent"
	"tenantry/internal/apitest"
	"tenantry/internal/database"
	"tenantry/internal/database/dbtest"
	"tenantry/internal/principal"
)

// The responses to one tenant are equal, byte for byte, before and after another tenant gets 1,000
// users with the same addresses and names.
func TestTenant_seesNoDataOfAnother(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		s := apitest.Start(t, opts)
		s.CreateTenant("other")
		owner, other := s.CreateUser("acme", "second@acme.test", "owner"),
			s.CreateUser("other", "owner@other.test", "owner")
		s.Populate(owner, "acme.test")
		custom, foreign := s.CreateRole(owner.Access, "custom", "users:read"),
			s.CreateRole(other.Access, "custom", "users:read")
		look := func() (seen []string) {
			for _, query := range []string{"", "?total=exact", "?total=exact&limit=3", "?total=exact&is_active=false",
				"?total=exact&q=user", "?total=exact&role=member", "?email=user1@acme.test&total=exact",
				"?include=roles"} {
				seen = append(seen, withoutID(t, s.Call("GET", "/api/v1/users"+query, owner.Access, nil)))
			}
			for _, a := range []apitest.Answer{
				s.Call("GET", "/api/v1/roles", owner.Access, nil), s.Call("GET", "/api/v1/tenant", owner.Access, nil),
				s.Call("GET", apitest.ProvidersPath, owner.Access, nil),
				s.Call("GET", "/api/v1/users/"+other.ID.String(), owner.Access, nil),
				s.Call("GET", "/api/v1/users/"+owner.ID.String()+"?include=roles,tenant", owner.Access, nil),
				s.Call("POST", "/api/v1/users", owner.Access, map[string]any{"email": "user1@acme.test"}),
				s.Call("POST", "/api/v1/auth/register", "",
					apitest.Credentials("user1@acme.test", apitest.OwnerPassword)),
				s.Call("POST", "/api/v1/roles", owner.Access,
					map[string]any{"name": "CUSTOM", "permissions": []string{}}),
				s.Call("PATCH", "/api/v1/roles/"+custom, owner.Access, map[string]any{"name": "Member"}),
				s.Call("PUT", "/api/v1/users/"+owner.ID.String()+"/roles", owner.Access,
					map[string]any{"role_ids": []string{foreign}}),
				s.Call("POST", "/api/v1/auth/login", "", apitest.Credentials("user1@acme.test", "wrong password here")),
			} {
				seen = append(seen, withoutID(t, a))
			}
			return seen
		}
		before := look()
		ctx := principal.NewContext(t.Context(), principal.InTenant(other.TenantID))
		for batch := range 10 {
			var creates []*ent.UserCreate
			for i := range 100 {
				creates = append(creates,
					s.DB.Client.User.Create().SetEmail(fmt.Sprintf("user%d@acme.test", batch*100+
						i)).SetFullName("Zoë Number1").SetIsActive(i%2 == 0))
			}
			s.DB.Client.User.CreateBulk(creates...).ExecX(ctx)
		}
		for i := range 20 {
			s.CreateRole(other.Access, fmt.Sprint("role ", i), "users:read")
		}
		for i, after := range look() {
			if after != before[i] {
				t.Errorf("answer %d was\n%s\nand is\n%s", i, before[i], after)
			}
		}
	})
}
