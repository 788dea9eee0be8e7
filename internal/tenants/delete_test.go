package tenants_test

import (
	"testing"

	"tenantry/ent"
	"tenantry/internal/database"
	"tenantry/internal/database/dbtest"
	"tenantry/internal/principal"
	"tenantry/internal/tenants"
)

// The sessions of a tenant are deleted in batches, however few users have them, and those of
// another tenant stay.
func TestDelete_of_a_tenant_with_many_sessions_is_done_in_batches(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		system := principal.System(t.Context(), "test")
		const many = 2500
		doomed := db.Client.Tenant.Create().SetSlug("doomed").SetName("Doomed").SaveX(system)
		other := db.Client.Tenant.Create().SetSlug("other").SetName("Other").SaveX(system)
		for _, home := range []*ent.Tenant{doomed, other} {
			u := db.Client.User.Create().SetTenantID(home.ID).SetEmail("ada@acme.test").SaveX(system)
			dbtest.GiveSessions(t, db, home.ID, u.ID, 0, many)
		}
		ctx, statements := database.CountStatements(system)
		if err := tenants.New(db.Client, tenants.Options{}).Delete(ctx, doomed.ID); err != nil {
			t.Fatal(err)
		}
		// The beginning with the lock of superusers, three batches, the look for users, and the
		// tenant with the one that is left.
		if n, _ := statements(); n != 7 {
			t.Errorf("%d statements", n)
		}
		if n := db.Client.RefreshToken.Query().CountX(system); n != many {
			t.Errorf("%d sessions of the other tenant are left, want %d", n, many)
		}
	})
}
