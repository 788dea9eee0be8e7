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

// many sessions are more than one statement deletes.
const many = 2500

// ownedTenant is a tenant with an owner.
type ownedTenant struct {
	*ent.Tenant
	owner *ent.User
	db    *database.DB
}

func newTenant(t *testing.T, db *database.DB) ownedTenant {
	t.Helper()
	home := db.Client.Tenant.Create().SetSlug("acme").SetName("Acme").SaveX(principal.System(t.Context(), "test"))
	made := ownedTenant{Tenant: home, db: db}
	inside := principal.NewContext(t.Context(), principal.InTenant(home.ID))
	if err := roles.CreateSystem(inside, db.Client); err != nil {
		t.Fatal(err)
	}
	made.owner = made.user(t, "owner@acme.test", roles.Owner)
	return made
}

// user makes a user with a system role.
func (h ownedTenant) user(t *testing.T, email, role string) *ent.User {
	t.Helper()
	ctx := principal.NewContext(t.Context(), principal.InTenant(h.ID))
	u := h.db.Client.User.Create().SetEmail(email).SaveX(ctx)
	if err := roles.AssignSystem(ctx, h.db.Client, u.ID, role); err != nil {
		t.Fatal(err)
	}
	return u
}

// by is a principal of the tenant.
func (h ownedTenant) by(permissions ...string) *principal.Principal {
	return &principal.Principal{TenantID: h.ID, UserID: h.owner.ID, Permissions: permissions}
}

func (h ownedTenant) users() *users.Users { return users.New(h.db.Client, nil, nil, page.Cursors{}) }

// sessions returns how many sessions a user has.
func (h ownedTenant) sessions(t *testing.T, u *ent.User) int {
	t.Helper()
	system := principal.System(t.Context(), "test")
	return h.db.Client.RefreshToken.Query().Where(refreshtoken.UserID(u.ID)).CountX(system)
}

// The sessions are deleted in batches before the user is.
func TestDelete_of_a_user_with_many_sessions_is_done_in_batches(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		home := newTenant(t, db)
		ada := home.user(t, "ada@acme.test", roles.Member)
		dbtest.GiveSessions(t, db, home.ID, ada.ID, 0, many)
		ctx, statements := database.CountStatements(principal.NewContext(t.Context(), home.by(roles.All()...)))
		if err := home.users().Delete(ctx, ada.ID); err != nil {
			t.Fatal(err)
		}
		// Two changes of a user, each with its lock, look and check, the one-time tokens, and three
		// batches between them.
		if n, _ := statements(); n != 16 {
			t.Errorf("%d statements", n)
		}
		_, err := db.Client.User.Get(principal.System(t.Context(), "test"), ada.ID)
		if left := home.sessions(t, ada); !ent.IsNotFound(err) || left != 0 {
			t.Errorf("%d sessions are left, and the user: %v", left, err)
		}
	})
}

// Wherever a deletion is interrupted, the user is unchanged, or inactive with every session
// revoked, and the next deletion continues.
func TestDelete_of_a_user_that_is_interrupted_leaves_an_inactive_one(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		home := newTenant(t, db)
		ada := home.user(t, "ada@acme.test", roles.Member)
		dbtest.GiveSessions(t, db, home.ID, ada.ID, 0, many)
		ctx, inactive := principal.NewContext(t.Context(), home.by(roles.All()...)), 0
		for n := 0; ; n++ {
			if n > 1000 {
				t.Fatal("it does not come to an end")
			}
			err := home.users().Delete(dbtest.CutOff(ctx, n), ada.ID)
			now := db.Client.User.Query().Where(user.ID(ada.ID)).AllX(principal.System(t.Context(), "test"))
			if len(now) == 0 {
				break
			}
			if err == nil {
				t.Fatal("the user is left, without an error")
			}
			left := home.sessions(t, ada)
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
		if inactive == 0 || home.sessions(t, ada) != 0 {
			t.Errorf("%d interruptions left an inactive user, and the end %d sessions", inactive, home.sessions(t, ada))
		}
	})
}

// A refused deletion changes neither the user nor the sessions.
func TestDelete_of_a_user_with_many_sessions_is_refused_before_anything_is_deleted(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		home := newTenant(t, db)
		root := home.user(t, "root@acme.test", roles.Member)
		db.Client.User.UpdateOne(root).SetIsSuperuser(true).ExecX(principal.System(t.Context(), "test"))
		for _, u := range []*ent.User{home.owner, root} {
			dbtest.GiveSessions(t, db, home.ID, u.ID, 0, many)
		}
		superuser := home.by(roles.All()...)
		superuser.Superuser = true
		for name, test := range map[string]struct {
			of     *ent.User
			as     *principal.Principal
			status int
		}{
			"the last owner":     {home.owner, superuser, http.StatusConflict},
			"the last superuser": {root, superuser, http.StatusConflict},
			"above the caller":   {home.owner, home.by(roles.UsersWrite), http.StatusForbidden},
			"above every role":   {root, home.by(roles.All()...), http.StatusForbidden},
		} {
			err := home.users().Delete(principal.NewContext(t.Context(), test.as), test.of.ID)
			if p, ok := errors.AsType[*problem.Problem](err); !ok || p.Status != test.status {
				t.Errorf("%s: %v", name, err)
			}
			now := db.Client.User.GetX(principal.System(t.Context(), "test"), test.of.ID)
			if left := home.sessions(t, test.of); !now.IsActive || now.PasswordVersion != 0 || left != many {
				t.Errorf("%s: active %v, version %d, %d sessions", name, now.IsActive, now.PasswordVersion, left)
			}
		}
	})
}
