package users

import (
	"context"
	"fmt"

	"github.com/google/uuid"

	"tenantry/ent"
	"tenantry/ent/refreshtoken"
	"tenantry/ent/user"
	"tenantry/internal/auth"
	"tenantry/internal/database"
	"tenantry/internal/names"
	"tenantry/internal/page"
	"tenantry/internal/password"
	"tenantry/internal/principal"
	"tenantry/internal/problem"
	"tenantry/internal/roles"
	"tenantry/internal/sessions"
)

// Users manages the users of the context's tenant.
type Users struct {
	client   *ent.Client
	hasher   *password.Hasher
	sessions *sessions.Sessions
	cursors  page.Cursors
}

// New returns the Users of a database.
func New(client *ent.Client, hasher *password.Hasher, signedIn *sessions.Sessions, cursors page.Cursors) *Users {
	return &Users{client, hasher, signedIn, cursors}
}

// Change is a change of a user. A nil field is unchanged.
type Change struct {
	FullName, Email *string
	IsActive        *bool
}

// Create creates a user with roles, or with the role member: 422 for an invalid account, 403 for a
// role with a permission that the caller lacks, 409 for an address that is taken.
func (u *Users) Create(ctx context.Context, account auth.Account, roleIDs *[]uuid.UUID) (*ent.User, error) {
	leave, err := u.hasher.Admit(ctx, auth.ShareOf(ctx))
	if err != nil {
		return nil, err
	}
	defer leave()
	p, _ := principal.FromContext(ctx)
	t, err := u.client.Tenant.Get(ctx, p.TenantID)
	if err != nil {
		return nil, fmt.Errorf("read tenant: %w", err)
	}
	prepared, err := account.Prepare(ctx, u.hasher, t)
	if err != nil {
		return nil, err
	}
	var created *ent.User
	err = database.WithTx(ctx, u.client, func(tx *ent.Client) error {
		if created, err = prepared.Insert(ctx, tx); err != nil {
			return err
		}
		if roleIDs == nil {
			return roles.AssignSystem(ctx, tx, created.ID, roles.Member)
		}
		return roles.Grant(ctx, tx, created.ID, *roleIDs)
	})
	return created, err
}

// Get returns a user: 404 if there is no such user.
func (u *Users) Get(ctx context.Context, id uuid.UUID) (*ent.User, error) {
	return orNotFound(u.client.User.Get(ctx, id))
}

// orNotFound returns a user that was read: 404 if there is no such user.
func orNotFound(u *ent.User, err error) (*ent.User, error) {
	if ent.IsNotFound(err) {
		return nil, problem.NotFound()
	}
	if err != nil {
		return nil, fmt.Errorf("read user: %w", err)
	}
	return u, nil
}

// checkName refuses a full name that is not visible text, with 422.
func checkName(name *string) error {
	if name == nil {
		return nil
	}
	if _, err := names.Text(*name); err != nil {
		return problem.Invalid(problem.Field{Pointer: "/full_name", Detail: err.Error()})
	}
	return nil
}

// Rename changes the full name of a user and returns the new state: 404 if there is no such user,
// 422 for a name that is not visible text.
func (u *Users) Rename(ctx context.Context, id uuid.UUID, name *string) (*ent.User, error) {
	if err := checkName(name); err != nil {
		return nil, err
	}
	changed, err := u.client.User.UpdateOneID(id).SetNillableFullName(name).Save(ctx)
	switch {
	case ent.IsNotFound(err):
		return nil, problem.NotFound()
	case err != nil:
		return nil, fmt.Errorf("rename user: %w", err)
	}
	return changed, nil
}

// Update changes a user by the rules of roles.Guarded, and returns the new state: 422 for an
// invalid address or name, 409 for an address that is taken, 403 for the caller's own address. A
// new address is not verified. Deactivating a user revokes all sessions of the user.
func (u *Users) Update(ctx context.Context, id uuid.UUID, change Change) (changed *ent.User, err error) {
	if p, _ := principal.FromContext(ctx); change.Email != nil && p.UserID == id {
		// A stolen access token must not be enough to take an account over (ASVS 7.5.1).
		return nil, problem.Forbidden("own_email", "You cannot change your own e-mail address by this operation.")
	}
	if err := checkName(change.FullName); err != nil {
		return nil, err
	}
	if change.Email != nil {
		canonical, err := auth.CanonicalEmail(*change.Email)
		if err != nil {
			return nil, problem.Invalid(problem.Field{Pointer: "/email", Detail: err.Error()})
		}
		change.Email = &canonical
	}
	deactivated := false
	err = roles.Guarded(ctx, u.client, id, func(tx *ent.Client, target *ent.User) error {
		deactivated = target.IsActive && change.IsActive != nil && !*change.IsActive
		if deactivated {
			if err := keepSuperuser(ctx, tx, target); err != nil {
				return err
			}
		}
		update := tx.User.UpdateOne(target).SetNillableFullName(change.FullName).SetNillableIsActive(change.IsActive)
		if change.Email != nil && *change.Email != target.Email {
			update.SetEmail(*change.Email).ClearEmailVerifiedAt()
		}
		if deactivated {
			update.AddPasswordVersion(1) // revokes every session, that of a concurrent sign-in included
		}
		if changed, err = update.Save(ctx); err != nil {
			return auth.EmailTaken(err, "update user")
		}
		if !deactivated {
			return nil
		}
		return sessions.DeleteOneTimeTokens(ctx, tx, id)
	})
	if err == nil && deactivated {
		sessions.MarkRevoked(ctx, u.client, id, refreshtoken.RevokedReasonUserInactive)
	}
	return changed, err
}

// Delete deletes a user by the rules of roles.Guarded, with every row that refers to the user.
// Where the user has more sessions than one statement deletes, Delete first makes the user
// inactive, by the same rules, and deletes the sessions in batches. An interrupted deletion leaves
// an inactive user without live sessions; the next request continues it.
func (u *Users) Delete(ctx context.Context, id uuid.UUID) error {
	deleted, err := u.delete(ctx, id, false)
	if err != nil || deleted {
		return err
	}
	if err := sessions.DeleteOfUser(ctx, u.client, id); err != nil {
		return err
	}
	_, err = u.delete(ctx, id, true)
	return err
}

// delete deletes a user. If the user has many sessions, and sessionsDeleted is false, it only
// deactivates the user.
func (u *Users) delete(ctx context.Context, id uuid.UUID, sessionsDeleted bool) (deleted bool, err error) {
	err = roles.Guarded(ctx, u.client, id, func(tx *ent.Client, target *ent.User) error {
		if err := keepSuperuser(ctx, tx, target); err != nil {
			return err
		}
		many := false
		if !sessionsDeleted {
			if many, err = sessions.Many(ctx, tx, id); err != nil {
				return err
			}
		}
		if deleted = !many; many {
			if err = tx.User.UpdateOne(target).SetIsActive(false).AddPasswordVersion(1).Exec(ctx); err == nil {
				err = sessions.DeleteOneTimeTokens(ctx, tx, id)
			}
		} else {
			err = tx.User.DeleteOne(target).Exec(ctx)
		}
		if err != nil {
			return fmt.Errorf("delete user: %w", err)
		}
		return nil
	})
	return deleted, err
}

// keepSuperuser refuses with 409 to remove the last superuser who can sign in.
func keepSuperuser(ctx context.Context, tx *ent.Client, target *ent.User) error {
	if !target.IsSuperuser {
		return nil
	}
	return roles.KeepSuperuser(ctx, tx, func(u *ent.User) bool { return u.ID == target.ID })
}

// Sessions returns the active sessions of a user: 404 if there is no such user.
func (u *Users) Sessions(ctx context.Context, id uuid.UUID) ([]*ent.RefreshToken, error) {
	owner, err := u.withRelated(ctx, id, edges{tenant: true})
	if err != nil {
		return nil, err
	}
	t, err := owner.Edges.TenantOrErr()
	if err != nil {
		return nil, fmt.Errorf("read tenant: %w", err)
	}
	return u.sessions.List(ctx, owner, t.Settings)
}

// EndSessions revokes all sessions of a user, by the rules of roles.Guarded.
func (u *Users) EndSessions(ctx context.Context, id uuid.UUID) error {
	err := roles.Guarded(ctx, u.client, id, func(tx *ent.Client, _ *ent.User) error {
		return sessions.RevokeAll(ctx, tx, id)
	})
	if err == nil {
		sessions.MarkRevoked(ctx, u.client, id, refreshtoken.RevokedReasonAdministrator)
	}
	return err
}

// withRelated returns a user with edges: 404 if there is no such user.
func (u *Users) withRelated(ctx context.Context, id uuid.UUID, edges edges) (*ent.User, error) {
	q := u.client.User.Query().Where(user.ID(id))
	edges.load(q)
	return orNotFound(q.Only(ctx))
}
