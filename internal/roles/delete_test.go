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

// many users have a role: more than one statement deletes assignments.
const many = 2500

// assigned makes a tenant with a role that many users have.
func assigned(t *testing.T, db *database.DB) (home *ent.Tenant, auditor *ent.Role) {
	t.Helper()
	home = db.Client.Tenant.Create().SetSlug("acme").SetName("Acme").SaveX(principal.System(t.Context(), "test"))
	ctx := principal.NewContext(t.Context(), principal.InTenant(home.ID))
	if err := roles.CreateSystem(ctx, db.Client); err != nil {
		t.Fatal(err)
	}
	auditor = db.Client.Role.Create().SetName("auditor").SetPermissions([]string{roles.UsersRead}).SaveX(ctx)
	series, id := "generate_series($2::int, $3::int) AS s(n)", "gen_random_uuid()"
	if db.Dialect() == dialect.SQLite {
		series = "(WITH RECURSIVE s(n) AS (SELECT $2 UNION ALL SELECT n + 1 FROM s WHERE n < $3) SELECT n FROM s)"
		id = "lower(hex(randomblob(4)) || '-' || hex(randomblob(2)) || '-7000-8000-' || hex(randomblob(6)))"
	}
	const part = 500 // which a busy machine inserts before the deadline of a statement
	for first := 1; first <= many; first += part {
		_, err := db.Client.ExecContext(ctx, `INSERT INTO users (id, tenant_id, created_at, updated_at, email)
			SELECT `+id+`, $1, $4, $4, n || '@acme.test' FROM `+series, home.ID, first, first+part-1, home.CreatedAt)
		if err != nil {
			t.Fatal(err)
		}
		_, err = db.Client.ExecContext(ctx, `INSERT INTO user_roles (tenant_id, user_id, role_id, created_at, updated_at)
			SELECT tenant_id, id, $2, created_at, created_at FROM users
			WHERE tenant_id = $1 AND NOT EXISTS (SELECT 1 FROM user_roles WHERE user_id = users.id)`, home.ID,
			auditor.ID)
		if err != nil {
			t.Fatal(err)
		}
	}
	return home, auditor
}

func assignments(t *testing.T, db *database.DB, id uuid.UUID) int {
	t.Helper()
	system := principal.System(t.Context(), "test")
	return db.Client.RoleAssignment.Query().Where(roleassignment.RoleID(id)).CountX(system)
}

// The assignments are deleted in batches before the role is.
func TestDelete_of_a_role_that_many_have_is_done_in_batches(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		home, auditor := assigned(t, db)
		acting := principal.NewContext(t.Context(), &principal.Principal{TenantID: home.ID, Permissions: roles.All()})
		ctx, statements := database.CountStatements(acting)
		if err := roles.New(db.Client).Delete(ctx, auditor.ID); err != nil {
			t.Fatal(err)
		}
		// The look, the permissions and the state after that; two for each of two batches and one
		// that finds no third; the end.
		if n, _ := statements(); n != 4+2+2+1+2 {
			t.Errorf("%d statements", n)
		}
		if n := assignments(t, db, auditor.ID); n != 0 {
			t.Errorf("%d assignments are left", n)
		}
		if exists := db.Client.Role.Query().Where(role.ID(auditor.ID)).ExistX(acting); exists {
			t.Error("the role is left")
		}
	})
}

// Wherever a deletion is interrupted, the role is unchanged or has no permissions, and the next
// deletion continues.
func TestDelete_of_a_role_that_is_interrupted_leaves_no_permissions(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		home, auditor := assigned(t, db)
		acting := &principal.Principal{TenantID: home.ID, Permissions: roles.All()}
		ctx, partly := principal.NewContext(t.Context(), acting), 0
		for n := 0; ; n++ {
			if n > 1000 {
				t.Fatal("it does not come to an end")
			}
			err := roles.New(db.Client).Delete(dbtest.CutOff(ctx, n), auditor.ID)
			now := db.Client.Role.Query().Where(role.ID(auditor.ID)).AllX(ctx)
			if len(now) == 0 {
				break
			}
			if err == nil {
				t.Fatal("the role is left, without an error")
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
			t.Errorf("%d interruptions left a part, and the end %d assignments", partly, assignments(t, db, auditor.ID))
		}
	})
}

// A caller who may not delete the role changes nothing.
func TestDelete_of_a_role_that_many_have_is_refused_before_anything_is_deleted(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		home, auditor := assigned(t, db)
		acting := &principal.Principal{TenantID: home.ID, Permissions: []string{roles.RolesWrite}}
		ctx := principal.NewContext(t.Context(), acting)
		member := db.Client.Role.Query().Where(role.Name(roles.Member)).OnlyX(ctx)
		for name, id := range map[string]uuid.UUID{"above the caller": auditor.ID, "a system role": member.ID} {
			err := roles.New(db.Client).Delete(ctx, id)
			if p, ok := errors.AsType[*problem.Problem](err); !ok || p.Status != http.StatusForbidden {
				t.Errorf("%s: %v", name, err)
			}
		}
		now, left := db.Client.Role.GetX(ctx, auditor.ID), assignments(t, db, auditor.ID)
		if len(now.Permissions) != 1 || left != many {
			t.Errorf("the role permits %v, and %d users have it", now.Permissions, left)
		}
	})
}
