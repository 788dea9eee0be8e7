package tenants_test

import (
	"testing"

	"tenantry/ent"
	"tenantry/internal/database"
	"tenantry/internal/database/dbtest"
	"tenantry/internal/principal"
	"tenantry/internal/tenants"
)

// The sessions of a tenant are deleted in batches, regardless of the number of users. Those of
// another tenant are kept.
func TestDelete_manySessionsAreDeletedInBatches(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		system := principal.System(t.Context(), "test")
		const many = 2500
		doomed := db.Client.Tenant.Create().SetSlug("doomed").SetName("Doomed").SaveX(system)
		other := db.Client.Tenant.Create().SetSlug("other").SetName("Other").SaveX(system)
		for _, of := range []*ent.Tenant{doomed, other} {
			u := db.Client.User.Create().SetTenantID(of.ID).SetEmail("ada@acme.test").SaveX(system)
			dbtest.GiveSessions(t, db, of.ID, u.ID, 0, many)
		}
		ctx, statements := dbtest.CountStatements(system)
		if err := tenants.New(db.Client, tenants.Options{}).Delete(ctx, doomed.ID); err != nil {
			t.Fatal(err)
		}
		// The suspension with the lock of superusers, three batches, the query for users, and the
		// deletion of the tenant with the remaining user.
		if n, _ := statements(); n != 7 {
			t.Errorf("%d statements", n)
		}
		if n := db.Client.RefreshToken.Query().CountX(system); n != many {
			t.Errorf("%d sessions of the other tenant are left, want %d", n, many)
		}
	})
}
