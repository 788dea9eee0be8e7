package faults_test

import (
	"net/http"
	"slices"
	"sync"
	"testing"

	"github.com/google/uuid"

	"tenantry/ent/role"
	"tenantry/ent/roleassignment"
	"tenantry/ent/user"
	"tenantry/internal/database/dbtest"
	"tenantry/internal/principal"
	"tenantry/internal/roles"
)

// Two owners unassign each other's role concurrently, on two processes: one is refused, and the
// tenant keeps an owner.
func TestOwners_removingEachOtherLeavesOne(t *testing.T) {
	opts := dbtest.Postgres(t)
	db := dbtest.Open(t, opts)
	first, second := serve(t, opts), serve(t, opts)
	openRegistration(t, first)
	one, two := newClient(first), newClient(second)
	expect(t, http.StatusCreated)(one.register(t.Context(), "one@acme.test"))
	expect(t, http.StatusCreated)(two.register(t.Context(), "two@acme.test"))
	ctx := principal.System(t.Context(), "test")
	owner := db.Client.Role.Query().Where(role.Name(roles.Owner)).OnlyX(ctx)
	acting := principal.NewContext(ctx, principal.InTenant(owner.TenantID))
	var ids []uuid.UUID
	for _, email := range []string{"one@acme.test", "two@acme.test"} {
		ids = append(ids, db.Client.User.Query().Where(user.Email(email)).OnlyIDX(ctx))
	}
	for round := range size(100, 200) {
		db.Client.RoleAssignment.Delete().Where(roleassignment.RoleID(owner.ID)).ExecX(ctx)
		for _, id := range ids {
			if err := roles.AssignSystem(acting, db.Client, id, roles.Owner); err != nil {
				t.Fatal(err)
			}
		}
		var both sync.WaitGroup
		statuses := make([]int, 2)
		for i, c := range []*client{one, two} {
			both.Go(func() {
				a, err := c.call(t.Context(), http.MethodDelete, "/api/v1/users/"+ids[1-i].String()+"/roles/"+
					owner.ID.String(), nil)
				if err != nil {
					t.Error(err)
				}
				statuses[i] = a.status
			})
		}
		both.Wait()
		left := db.Client.RoleAssignment.Query().Where(roleassignment.RoleID(owner.ID)).CountX(ctx)
		slices.Sort(statuses)
		if left != 1 || statuses[0] != http.StatusNoContent ||
			(statuses[1] != http.StatusForbidden && statuses[1] != http.StatusConflict) {
			t.Fatalf("round %d: statuses %v, %d owners are left", round, statuses, left)
		}
	}
}
