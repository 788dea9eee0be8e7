package schema_test

import (
	"context"
	"errors"
	"maps"
	"slices"
	"testing"

	"entgo.io/ent/dialect/sql"

	"tenantry/ent"
	"tenantry/ent/privacy"
	"tenantry/ent/signingkey"
	"tenantry/ent/tenant"
	"tenantry/internal/database"
	"tenantry/internal/database/dbtest"
)

func TestRoleAssignment_acrossTenantsIsDenied(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		w := newWorld(t, db)
		a, b := w.row(t, w.a), w.row(t, w.b)
		for who, ctx := range map[string]context.Context{"tenant": w.asA, "system": w.system} {
			for what, r := range map[string]row{
				"own user, their role, in own tenant":    {user: a.user, role: b.role, tenant: &w.a},
				"own user, their role, in their tenant":  {user: a.user, role: b.role, tenant: &w.b},
				"their user, own role, in own tenant":    {user: b.user, role: a.role, tenant: &w.a},
				"their user, own role, in their tenant":  {user: b.user, role: a.role, tenant: &w.b},
				"their user, their role, in own tenant":  {user: b.user, role: b.role, tenant: &w.a},
				"own user, own role, in their tenant":    {user: a.user, role: a.role, tenant: &w.b},
				"own user, unknown role, in own tenant":  {user: a.user, role: a.id, tenant: &w.a},
				"unknown user, own role, in own tenant":  {user: a.id, role: a.role, tenant: &w.a},
				"own user, their role, tenant not set":   {user: a.user, role: b.role},
				"their user, their role, tenant not set": {user: b.user, role: b.role},
			} {
				if err := newAssignment(w.client, r).Exec(ctx); !errors.Is(err, privacy.Deny) {
					t.Errorf("%s: %s: %v", who, what, err)
				}
			}
			// A write through the edge would bypass the policy of RoleAssignment.
			for what, err := range map[string]error{
				"role added to user":  w.client.User.UpdateOneID(a.user).AddRoleIDs(b.role).Exec(ctx),
				"user added to role":  w.client.Role.UpdateOneID(a.role).AddUserIDs(b.user).Exec(ctx),
				"user made with role": newUser(w.client, row{id: b.id, tenant: &w.a}).AddRoleIDs(b.role).Exec(ctx),
				"role made with user": newRole(w.client, row{id: b.id, tenant: &w.a}).AddUserIDs(b.user).Exec(ctx),
				"own role added":      w.client.User.UpdateOneID(a.user).AddRoleIDs(a.role).Exec(ctx),
			} {
				if err == nil {
					t.Errorf("%s: %s: no error", who, what)
				}
			}
		}
		if rows := w.rows(t, "user_roles"); len(rows) != 0 {
			t.Errorf("stored %v", rows)
		}
	})
}

func TestEdges_ofAnotherTenantAreNotRemoved(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		w := newWorld(t, db)
		a, b := w.row(t, w.a), w.row(t, w.b)
		w.must(t, newAssignment(w.client, b).Exec(w.system))
		before := w.rows(t, "user_roles")
		w.client.User.Update().ClearRoles().ExecX(w.asA)
		w.client.Role.Update().ClearUsers().ExecX(w.asA)
		w.client.User.UpdateOneID(a.user).RemoveRoleIDs(b.role).ExecX(w.asA)
		if err := w.client.User.UpdateOneID(b.user).ClearRoles().Exec(w.asA); !ent.IsNotFound(err) {
			t.Errorf("clear the roles of their user: %v", err)
		}
		if err := w.client.Role.UpdateOneID(b.role).RemoveUserIDs(b.user).Exec(w.asA); !ent.IsNotFound(err) {
			t.Errorf("take their role from their user: %v", err)
		}
		if after := w.rows(t, "user_roles"); !maps.EqualFunc(before, after, slices.Equal) {
			t.Errorf("before %v, after %v", before, after)
		}
	})
}

// The test inserts rows that the policies deny, because the filter of reads must not rely on the
// checks of writes.
func TestEagerLoading_returnsNoRowsOfAnotherTenant(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		w := newWorld(t, db)
		a, b := w.row(t, w.a), w.row(t, w.b)
		for _, r := range []row{a, b} {
			w.must(t, newAssignment(w.client, r).Exec(w.system))
			w.must(t, newRefreshToken(w.client, r).Exec(w.system))
		}
		force := func(other row, column string, id any) {
			w.must(t, newAssignment(w.client, other).Exec(w.system))
			w.client.RoleAssignment.Update().Where(of(other)).Modify(func(u *sql.UpdateBuilder) {
				u.Set("tenant_id", w.a).Set(column, id)
			}).ExecX(w.system)
		}
		force(w.row(t, w.b), "user_id", a.user)
		force(w.row(t, w.b), "role_id", a.role)
		w.client.RefreshToken.UpdateOneID(a.id).Modify(func(u *sql.UpdateBuilder) {
			u.Set("user_id", b.user)
		}).ExecX(w.system)

		if n := w.client.User.GetX(w.system, a.user).QueryRoles().CountX(w.system); n != 2 {
			t.Fatalf("the system sees %d roles of the user, the foreign one among them", n)
		}
		u := w.client.User.GetX(w.asA, a.user)
		if ids := u.QueryRoles().IDsX(w.asA); len(ids) != 1 || ids[0] != a.role {
			t.Errorf("the user's roles are %v", ids)
		}
		for _, u := range w.client.User.Query().WithRoles().WithTenant().AllX(w.asA) {
			roles, err := u.Edges.RolesOrErr()
			if err != nil || slices.ContainsFunc(roles, func(r *ent.Role) bool { return r.TenantID != w.a }) {
				t.Errorf("roles %v, %v", roles, err)
			}
			if tenant, err := u.Edges.TenantOrErr(); err != nil || tenant.ID != w.a {
				t.Errorf("tenant %v, %v", tenant, err)
			}
		}
		for _, r := range w.client.Role.Query().WithUsers().AllX(w.asA) {
			users, err := r.Edges.UsersOrErr()
			if err != nil || slices.ContainsFunc(users, func(u *ent.User) bool { return u.TenantID != w.a }) {
				t.Errorf("users %v, %v", users, err)
			}
		}
		if u, err := w.client.RefreshToken.Query().WithUser().OnlyX(w.asA).Edges.UserOrErr(); !ent.IsNotFound(err) {
			t.Errorf("user of the session: %v, %v", u, err)
		}
	})
}

func TestTenant_readsItselfAndOnlyTheSystemCreatesAndDeletes(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		w := newWorld(t, db)
		c := w.client.Tenant
		if ids, err := c.Query().IDs(w.asA); err != nil || len(ids) != 1 || ids[0] != w.a {
			t.Errorf("sees %v, %v", ids, err)
		}
		if _, err := c.Get(w.asA, w.b); !ent.IsNotFound(err) {
			t.Errorf("get the other: %v", err)
		}
		if err := c.UpdateOneID(w.b).SetName("taken").Exec(w.asA); !ent.IsNotFound(err) {
			t.Errorf("update the other: %v", err)
		}
		if n, err := c.Update().SetName("mine").Save(w.asA); n != 1 || err != nil {
			t.Errorf("update all: %d, %v", n, err)
		}
		if name := c.GetX(w.system, w.b).Name; name != "B" {
			t.Errorf("the other is called %q now", name)
		}
		for who, ctx := range map[string]context.Context{"tenant": w.asA, "anonymous": t.Context()} {
			_, deleted := c.Delete().Where(tenant.ID(w.a)).Exec(ctx)
			for what, err := range map[string]error{
				"create":       c.Create().SetSlug("evil").SetName("Evil").Exec(ctx),
				"bulk create":  c.CreateBulk(c.Create().SetSlug("evil").SetName("Evil")).Exec(ctx),
				"delete":       deleted,
				"delete own":   c.DeleteOneID(w.a).Exec(ctx),
				"delete other": c.DeleteOneID(w.b).Exec(ctx),
			} {
				if !errors.Is(err, privacy.Deny) {
					t.Errorf("%s: %s: %v", who, what, err)
				}
			}
		}
		if _, err := c.Query().All(t.Context()); !errors.Is(err, privacy.Deny) {
			t.Errorf("anonymous query: %v", err)
		}
		if err := c.Update().SetName("changed").Exec(t.Context()); !errors.Is(err, privacy.Deny) {
			t.Errorf("anonymous update: %v", err)
		}
		if n := c.Query().CountX(w.system); n != 2 {
			t.Errorf("%d tenants", n)
		}
	})
}

func TestSigningKey_isDeniedToTenants(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		w := newWorld(t, db)
		c := w.client.SigningKey
		create := func(kid string) *ent.SigningKeyCreate {
			return c.Create().SetKid(kid).SetAlg(signingkey.AlgES256).SetPublicKey([]byte{1}).SetPrivateKey([]byte{2}).
				SetState(signingkey.StateActive)
		}
		key := create("first").SaveX(w.system)
		for who, ctx := range map[string]context.Context{"tenant": w.asA, "anonymous": t.Context()} {
			_, queried := c.Query().All(ctx)
			_, deleted := c.Delete().Exec(ctx)
			for what, err := range map[string]error{
				"query":      queried,
				"create":     create("second").Exec(ctx),
				"update":     c.Update().SetState(signingkey.StateRetiring).Exec(ctx),
				"update one": c.UpdateOneID(key.ID).SetState(signingkey.StateRetiring).Exec(ctx),
				"delete":     deleted,
				"delete one": c.DeleteOneID(key.ID).Exec(ctx),
			} {
				if !errors.Is(err, privacy.Deny) {
					t.Errorf("%s: %s: %v", who, what, err)
				}
			}
		}
		if stored := c.Query().OnlyX(w.system); stored.ID != key.ID || stored.State != key.State {
			t.Errorf("stored %v, found %v", key, stored)
		}
	})
}
