package roles_test

import (
	"errors"
	"net/http"
	"testing"

	"entgo.io/ent/dialect"
	"github.com/google/uuid"

	"tenantry/ent"
	"tenantry/ent/role"
	"tenantry/ent/roleassignment"
	"tenantry/internal/database"
	"tenantry/internal/database/dbtest"
	"tenantry/internal/principal"
	"tenantry/internal/problem"
	"tenantry/internal/roles"
)

// many is the number of users with a role: more than one statement unassigns.
const many = 2500

// newTenant creates a tenant with a role that many users have.
func newTenant(t *testing.T, db *database.DB) (acme *ent.Tenant, auditor *ent.Role) {
	t.Helper()
	acme = db.Client.Tenant.Create().SetSlug("acme").SetName("Acme").SaveX(principal.System(t.Context(), "test"))
	ctx := principal.NewContext(t.Context(), principal.InTenant(acme.ID))
	if err := roles.CreateSystem(ctx, db.Client); err != nil {
		t.Fatal(err)
	}
	auditor = db.Client.Role.Create().SetName("auditor").SetPermissions([]string{roles.UsersRead}).SaveX(ctx)
	series, id := "generate_series($2::int, $3::int) AS s(n)", "gen_random_uuid()"
	if db.Dialect() == dialect.SQLite {
		series = "(WITH RECURSIVE s(n) AS (SELECT $2 UNION ALL SELECT n + 1 FROM s WHERE n < $3) SELECT n FROM s)"
		id = "lower(hex(randomblob(4)) || '-' || hex(randomblob(2)) || '-7000-8000-' || hex(randomblob(6)))"
	}
	const batch = 500 // small enough for the timeout of a statement on a busy machine
	for first := 1; first <= many; first += batch {
		_, err := db.Client.ExecContext(ctx, `INSERT INTO users (id, tenant_id, created_at, updated_at, email)
			SELECT `+id+`, $1, $4, $4, n || '@acme.test' FROM `+series,
			acme.ID, first, first+batch-1, acme.CreatedAt)
		if err != nil {
			t.Fatal(err)
		}
		_, err = db.Client.ExecContext(ctx, `INSERT INTO user_roles
			(tenant_id, user_id, role_id, created_at, updated_at)
			SELECT tenant_id, id, $2, created_at, created_at FROM users
			WHERE tenant_id = $1 AND NOT EXISTS (SELECT 1 FROM user_roles WHERE user_id = users.id)`, acme.ID,
			auditor.ID)
		if err != nil {
			t.Fatal(err)
		}
	}
	return acme, auditor
}

func assignments(t *testing.T, db *database.DB, id uuid.UUID) int {
	t.Helper()
	system := principal.System(t.Context(), "test")
	return db.Client.RoleAssignment.Query().Where(roleassignment.RoleID(id)).CountX(system)
}

// The assignments are deleted in batches, and then the role.
func TestDelete_manyAssignmentsAreDeletedInBatches(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		acme, auditor := newTenant(t, db)
		caller := principal.NewContext(t.Context(), &principal.Principal{TenantID: acme.ID, Permissions: roles.All()})
		ctx, statements := dbtest.CountStatements(caller)
		if err := roles.New(db.Client).Delete(ctx, auditor.ID); err != nil {
			t.Fatal(err)
		}
		// Four to check the role and remove its permissions; two for each of two batches, and one
		// that finds no third batch; two to delete the role.
		if n, _ := statements(); n != 4+2+2+1+2 {
			t.Errorf("%d statements", n)
		}
		if n := assignments(t, db, auditor.ID); n != 0 {
			t.Errorf("%d assignments are left", n)
		}
		if exists := db.Client.Role.Query().Where(role.ID(auditor.ID)).ExistX(caller); exists {
			t.Error("the role is not deleted")
		}
	})
}

// After an interrupted deletion, the role is unchanged or has no permissions. The next deletion
// continues.
func TestDelete_interruptedLeavesNoPermissions(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		acme, auditor := newTenant(t, db)
		caller := &principal.Principal{TenantID: acme.ID, Permissions: roles.All()}
		ctx, partly := principal.NewContext(t.Context(), caller), 0
		for n := 0; ; n++ {
			if n > 1000 {
				t.Fatal("the deletion does not end")
			}
			err := roles.New(db.Client).Delete(dbtest.CutOff(ctx, n), auditor.ID)
			now := db.Client.Role.Query().Where(role.ID(auditor.ID)).AllX(ctx)
			if len(now) == 0 {
				break
			}
			if err == nil {
				t.Fatal("the role is not deleted, without an error")
			}
			left := assignments(t, db, auditor.ID)
			if left != many && len(now[0].Permissions) > 0 {
				t.Fatalf("interrupted at %d: %d users have a role with the permissions %v", n, left, now[0].Permissions)
			}
			if left != many {
				partly++
			}
		}
		if partly == 0 || assignments(t, db, auditor.ID) != 0 {
			t.Errorf("%d interruptions left a part, and the deletion %d assignments", partly,
				assignments(t, db, auditor.ID))
		}
	})
}

func TestDelete_refusedDeletesNoAssignment(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		acme, auditor := newTenant(t, db)
		caller := &principal.Principal{TenantID: acme.ID, Permissions: []string{roles.RolesWrite}}
		ctx := principal.NewContext(t.Context(), caller)
		member := db.Client.Role.Query().Where(role.Name(roles.Member)).OnlyX(ctx)
		for name, id := range map[string]uuid.UUID{"above the caller": auditor.ID, "a system role": member.ID} {
			err := roles.New(db.Client).Delete(ctx, id)
			if p, ok := errors.AsType[*problem.Problem](err); !ok || p.Status != http.StatusForbidden {
				t.Errorf("%s: %v", name, err)
			}
		}
		now, left := db.Client.Role.GetX(ctx, auditor.ID), assignments(t, db, auditor.ID)
		if len(now.Permissions) != 1 || left != many {
			t.Errorf("the role has the permissions %v, and %d users have it", now.Permissions, left)
		}
	})
}
