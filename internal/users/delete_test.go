package users_test

import (
	"errors"
	"net/http"
	"testing"

	"tenantry/ent"
	"tenantry/ent/refreshtoken"
	"tenantry/ent/user"
	"tenantry/internal/database"
	"tenantry/internal/database/dbtest"
	"tenantry/internal/page"
	"tenantry/internal/principal"
	"tenantry/internal/problem"
	"tenantry/internal/roles"
	"tenantry/internal/users"
)

// many is more sessions than one statement deletes.
const many = 2500

// ownedTenant is a tenant with an owner.
type ownedTenant struct {
	*ent.Tenant
	owner *ent.User
	db    *database.DB
}

func newTenant(t *testing.T, db *database.DB) ownedTenant {
	t.Helper()
	acme := db.Client.Tenant.Create().SetSlug("acme").SetName("Acme").SaveX(principal.System(t.Context(), "test"))
	created := ownedTenant{Tenant: acme, db: db}
	if err := roles.CreateSystem(principal.NewContext(t.Context(), principal.InTenant(acme.ID)),
		db.Client); err != nil {
		t.Fatal(err)
	}
	created.owner = created.user(t, "owner@acme.test", roles.Owner)
	return created
}

// user creates a user with a system role.
func (o ownedTenant) user(t *testing.T, email, role string) *ent.User {
	t.Helper()
	ctx := principal.NewContext(t.Context(), principal.InTenant(o.ID))
	u := o.db.Client.User.Create().SetEmail(email).SaveX(ctx)
	if err := roles.AssignSystem(ctx, o.db.Client, u.ID, role); err != nil {
		t.Fatal(err)
	}
	return u
}

// by returns a principal: the owner, with only these permissions.
func (o ownedTenant) by(permissions ...string) *principal.Principal {
	return &principal.Principal{TenantID: o.ID, UserID: o.owner.ID, Permissions: permissions}
}

func (o ownedTenant) users() *users.Users { return users.New(o.db.Client, nil, nil, page.Cursors{}) }

// sessions returns the number of sessions of a user.
func (o ownedTenant) sessions(t *testing.T, u *ent.User) int {
	t.Helper()
	system := principal.System(t.Context(), "test")
	return o.db.Client.RefreshToken.Query().Where(refreshtoken.UserID(u.ID)).CountX(system)
}

// The sessions are deleted in batches, and then the user.
func TestDelete_manySessionsAreDeletedInBatches(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		acme := newTenant(t, db)
		ada := acme.user(t, "ada@acme.test", roles.Member)
		dbtest.GiveSessions(t, db, acme.ID, ada.ID, 0, many)
		ctx, statements := dbtest.CountStatements(principal.NewContext(t.Context(), acme.by(roles.All()...)))
		if err := acme.users().Delete(ctx, ada.ID); err != nil {
			t.Fatal(err)
		}
		// Two changes of a user, each with its lock, query and check, the one-time tokens, and
		// three batches between them.
		if n, _ := statements(); n != 16 {
			t.Errorf("%d statements", n)
		}
		_, err := db.Client.User.Get(principal.System(t.Context(), "test"), ada.ID)
		if left := acme.sessions(t, ada); !ent.IsNotFound(err) || left != 0 {
			t.Errorf("%d sessions are left, and the user: %v", left, err)
		}
	})
}

// After an interrupted deletion, the user is unchanged, or inactive with every session revoked. The
// next deletion continues.
func TestDelete_interruptedLeavesInactiveUser(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		acme := newTenant(t, db)
		ada := acme.user(t, "ada@acme.test", roles.Member)
		dbtest.GiveSessions(t, db, acme.ID, ada.ID, 0, many)
		ctx, inactive := principal.NewContext(t.Context(), acme.by(roles.All()...)), 0
		for n := 0; ; n++ {
			if n > 1000 {
				t.Fatal("the deletion does not end")
			}
			err := acme.users().Delete(dbtest.CutOff(ctx, n), ada.ID)
			now := db.Client.User.Query().Where(user.ID(ada.ID)).AllX(principal.System(t.Context(), "test"))
			if len(now) == 0 {
				break
			}
			if err == nil {
				t.Fatal("the user is not deleted, without an error")
			}
			left := acme.sessions(t, ada)
			switch {
			case now[0].IsActive && (left != many || now[0].PasswordVersion != 0):
				t.Fatalf("interrupted at %d: an active user has %d sessions, version %d", n, left,
					now[0].PasswordVersion)
			case !now[0].IsActive && now[0].PasswordVersion == 0:
				t.Fatalf("interrupted at %d: the sessions of an inactive user are not revoked", n)
			case !now[0].IsActive:
				inactive++
			}
		}
		if inactive == 0 || acme.sessions(t, ada) != 0 {
			t.Errorf("%d interruptions left an inactive user, and the deletion %d sessions", inactive,
				acme.sessions(t, ada))
		}
	})
}

// A refused deletion changes neither the user nor the sessions.
func TestDelete_refusedDeletesNoSession(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		acme := newTenant(t, db)
		root := acme.user(t, "root@acme.test", roles.Member)
		db.Client.User.UpdateOne(root).SetIsSuperuser(true).ExecX(principal.System(t.Context(), "test"))
		for _, u := range []*ent.User{acme.owner, root} {
			dbtest.GiveSessions(t, db, acme.ID, u.ID, 0, many)
		}
		superuser := acme.by(roles.All()...)
		superuser.Superuser = true
		for name, test := range map[string]struct {
			of     *ent.User
			as     *principal.Principal
			status int
		}{
			"the last owner":     {acme.owner, superuser, http.StatusConflict},
			"the last superuser": {root, superuser, http.StatusConflict},
			"above the caller":   {acme.owner, acme.by(roles.UsersWrite), http.StatusForbidden},
			"above every role":   {root, acme.by(roles.All()...), http.StatusForbidden},
		} {
			err := acme.users().Delete(principal.NewContext(t.Context(), test.as), test.of.ID)
			if p, ok := errors.AsType[*problem.Problem](err); !ok || p.Status != test.status {
				t.Errorf("%s: %v", name, err)
			}
			now := db.Client.User.GetX(principal.System(t.Context(), "test"), test.of.ID)
			if left := acme.sessions(t, test.of); !now.IsActive || now.PasswordVersion != 0 || left != many {
				t.Errorf("%s: active %v, version %d, %d sessions", name, now.IsActive, now.PasswordVersion, left)
			}
		}
	})
}
