package oauth

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"entgo.io/ent/dialect/sql/sqlgraph"
	"github.com/google/uuid"

	"tenantry/ent"
	"tenantry/ent/onetimetoken"
	"tenantry/ent/user"
	"tenantry/internal/auth"
	"tenantry/internal/database"
	"tenantry/internal/principal"
	"tenantry/internal/problem"
	"tenantry/internal/roles"
)

// Who an identity is in a tenant:
//
//	it is linked                                                  → that user, if they may act
//	there is an account of its address; the tenant links by       → that user, from now on; and if the account had not proved its
//	address, and the provider has proved it                         address, nobody who had only claimed it comes in any more
//	there is an account of its address, otherwise                 → refused: sign in there, and link
//	there is none, and the tenant takes registrations             → a new user
//	there is none, otherwise                                      → refused
//
// A superuser is above the tenants: what one of them has set up never speaks for one, and no address alone does.
var (
	errAccountExists = problem.Conflict("account_exists",
		"There is an account with this e-mail address. Sign in to it in its own way, and link the provider there.")
	errRegistrationClosed = problem.Forbidden("registration_closed", "The tenant does not take registrations. Ask its administrator for an account.")
	errNoEmail            = problem.Forbidden("email_missing",
		"The provider tells no e-mail address, without which there is no account. Let it tell the address, or sign in otherwise.")
	errIdentityTaken = problem.Conflict("identity_taken", "The identity at the provider belongs to another account.")
	errLinkedAlready = problem.Conflict("linked_already", "The account is linked to an identity already. Unlink that first.")
	errSuperuser     = problem.Forbidden("superuser", "A superuser does not sign in at a provider that a tenant has set up.")
)

// userOf returns the user of an identity, by the table above.
func (o *OAuth) userOf(ctx context.Context, h home, u *upstream, is *identity) (uuid.UUID, error) {
	acting := principal.NewContext(ctx, principal.InTenant(h.id))
	id, err := o.decide(acting, h, u, is)
	if sqlgraph.IsUniqueConstraintError(err) || errors.Is(err, errMeanwhile) {
		// Somebody else was as fast, with the same identity or the same address. Now there is an account.
		id, err = o.decide(acting, h, u, is)
	}
	if sqlgraph.IsUniqueConstraintError(err) || errors.Is(err, errMeanwhile) {
		return uuid.Nil, problem.Conflict("account_changed", "The account was changed meanwhile. Begin again.").Because(err)
	}
	return id, err
}

// errMeanwhile says that an account is not any more what it was when it was looked at.
var errMeanwhile = errors.New("the account was changed meanwhile")

func (o *OAuth) decide(ctx context.Context, h home, u *upstream, is *identity) (uuid.UUID, error) {
	known, namesake, err := o.find(ctx, u, is)
	switch {
	case err != nil:
		return uuid.Nil, err
	case known != nil && (!known.IsActive || known.IsSuperuser && u.own):
		return uuid.Nil, auth.ErrCredentials
	case known != nil:
		return known.ID, nil
	case is.Email == "":
		return uuid.Nil, errNoEmail
	case namesake != nil && (!h.settings.LinkByEmail || !is.Verified || namesake.IsSuperuser):
		return uuid.Nil, errAccountExists
	case namesake != nil && namesake.OauthID != nil && namesake.EmailVerifiedAt != nil:
		return uuid.Nil, errAccountExists
	case namesake != nil && !namesake.IsActive:
		return uuid.Nil, auth.ErrCredentials
	case namesake != nil:
		return namesake.ID, o.adopt(ctx, u, is, namesake)
	case !h.settings.RegistrationOpen():
		return uuid.Nil, errRegistrationClosed
	default:
		return o.enroll(ctx, u, is)
	}
}

// find returns the user that an identity is linked to, and the one who has its address, in one statement.
func (o *OAuth) find(ctx context.Context, u *upstream, is *identity) (known, namesake *ent.User, err error) {
	linked := user.And(user.OauthProvider(u.key()), user.OauthID(is.Subject))
	found, err := o.client.User.Query().Where(user.Or(linked, user.Email(is.Email))).All(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("find the user of an identity: %w", err)
	}
	for _, f := range found {
		if f.OauthID != nil && *f.OauthID == is.Subject && *f.OauthProvider == u.key() {
			known = f
		} else {
			namesake = f
		}
	}
	return known, namesake, nil
}

// enroll makes a user who signs in at the provider alone.
func (o *OAuth) enroll(ctx context.Context, u *upstream, is *identity) (id uuid.UUID, err error) {
	err = database.WithTx(ctx, o.client, func(tx *ent.Client) error {
		create := tx.User.Create().SetEmail(is.Email).SetFullName(is.Name).SetOauthProvider(u.key()).SetOauthID(is.Subject)
		if is.Verified {
			create.SetEmailVerifiedAt(o.opts.Clock())
		}
		created, err := create.Save(ctx)
		if err != nil {
			return fmt.Errorf("create user: %w", err)
		}
		id = created.ID
		return roles.AssignSystem(ctx, tx, id, roles.Member)
	})
	return id, err
}

// adopt links an identity to the account of its address, both of which prove it. An account that did not is somebody's who may only
// have claimed the address: password, other identity, sessions and tokens of theirs are void (O-09).
func (o *OAuth) adopt(ctx context.Context, u *upstream, is *identity, namesake *ent.User) error {
	unproved := namesake.EmailVerifiedAt == nil
	err := database.WithTx(ctx, o.client, func(tx *ent.Client) error {
		update := tx.User.Update().Where(
			user.ID(namesake.ID), user.Email(is.Email), user.IsActive(true), user.IsSuperuser(false), user.PasswordVersion(namesake.PasswordVersion),
		)
		if unproved {
			update.Where(user.EmailVerifiedAtIsNil()).ClearPasswordHash().AddPasswordVersion(1).SetEmailVerifiedAt(o.opts.Clock())
		} else {
			update.Where(user.EmailVerifiedAtNotNil(), user.OauthIDIsNil())
		}
		linked, err := update.SetOauthProvider(u.key()).SetOauthID(is.Subject).Save(ctx)
		if err != nil {
			return fmt.Errorf("link by address: %w", err)
		}
		if linked == 0 {
			return errMeanwhile
		}
		if !unproved {
			return nil
		}
		return auth.VoidProofs(ctx, tx, namesake.ID)
	})
	if err == nil {
		o.tell(ctx, "oauth_linked", namesake.ID, u.ref, slog.Bool("by_address", true), slog.Bool("password_voided", unproved))
	}
	return err
}

// link links an identity to the user who has asked for it: 401 if their session is over by now, 403 for a superuser at a provider of a
// tenant, 409 if the identity is somebody else's, or the user has another.
func (o *OAuth) link(ctx context.Context, f *flow, u *upstream, is *identity) error {
	asking, err := o.opts.Auth.OfSession(ctx, f.SessionID.UUID)
	if err != nil {
		return err
	}
	if asking.ID != f.UserID.UUID {
		return auth.ErrCredentials
	}
	if asking.IsSuperuser && u.own {
		return errSuperuser
	}
	acting := principal.NewContext(ctx, principal.Principal{TenantID: f.TenantID, UserID: asking.ID})
	same := user.And(user.OauthProvider(u.key()), user.OauthID(is.Subject))
	linked, err := o.client.User.Update().Where(
		user.ID(asking.ID), user.PasswordVersion(asking.PasswordVersion), user.Or(user.OauthIDIsNil(), same),
	).SetOauthProvider(u.key()).SetOauthID(is.Subject).Save(acting)
	if sqlgraph.IsUniqueConstraintError(err) {
		return errIdentityTaken
	}
	if err != nil {
		return fmt.Errorf("link identity: %w", err)
	}
	if linked == 0 {
		return errLinkedAlready
	}
	o.tell(acting, "oauth_linked", asking.ID, u.ref, slog.Bool("by_address", false))
	return nil
}

// Link begins a flow that links an identity to the signed-in user, who has signed in just now. The errors are those of Authorize, 401
// for a session that is older, 403 for a superuser at a provider of a tenant, and 409 for who is linked already.
func (o *OAuth) Link(ctx context.Context, me *auth.Projection, provider, redirectURI string) (*Start, error) {
	if err := o.opts.Auth.Recent(me); err != nil {
		return nil, err
	}
	h, u, err := o.upstream(ctx, byTenant(me.TenantID), provider)
	if err != nil {
		return nil, err
	}
	if me.IsSuperuser && u.own {
		return nil, errSuperuser
	}
	return o.start(ctx, h, u, &flow{
		RedirectURI: redirectURI, UserID: uuid.NullUUID{UUID: me.ID, Valid: true}, SessionID: uuid.NullUUID{UUID: me.SessionID, Valid: true},
	})
}

// Unlink takes the identity from the signed-in user, who has signed in just now, with every code that it was good for: 401 for a session
// that is older, 409 if there is no other way in. That there is no identity is no error.
func (o *OAuth) Unlink(ctx context.Context, me *auth.Projection) error {
	if err := o.opts.Auth.Recent(me); err != nil {
		return err
	}
	err := database.WithTx(ctx, o.client, func(tx *ent.Client) error {
		unlinked, err := tx.User.Update().Where(user.ID(me.ID), user.OauthIDNotNil(), user.PasswordHashNotNil()).
			ClearOauthProvider().ClearOauthID().Save(ctx)
		if err != nil {
			return fmt.Errorf("unlink identity: %w", err)
		}
		if unlinked == 0 {
			return nothingElse(ctx, tx, me.ID)
		}
		if _, err := tx.OneTimeToken.Delete().Where(onetimetoken.UserID(me.ID), onetimetoken.Purpose(purposeCode)).Exec(ctx); err != nil {
			return fmt.Errorf("delete codes: %w", err)
		}
		return nil
	})
	if err == nil {
		o.tell(ctx, "oauth_unlinked", me.ID, "")
	}
	return err
}

// nothingElse refuses to take the identity of a user who has one, and no password.
func nothingElse(ctx context.Context, tx *ent.Client, id uuid.UUID) error {
	linked, err := tx.User.Query().Where(user.ID(id), user.OauthIDNotNil()).Exist(ctx)
	if err != nil {
		return fmt.Errorf("look for an identity: %w", err)
	}
	if linked {
		return problem.Conflict("last_way_in", "There is no password, so that nothing else lets the user in.")
	}
	return nil
}

// tell logs what was done to an account.
func (o *OAuth) tell(ctx context.Context, event string, id uuid.UUID, ref string, more ...slog.Attr) {
	p, _ := principal.FromContext(ctx)
	attrs := append([]slog.Attr{
		slog.String("event", event), slog.String("tenant_id", p.TenantID.String()), slog.String("user_id", id.String()), slog.String("provider", ref),
	}, more...)
	o.opts.Log.LogAttrs(ctx, slog.LevelInfo, "identity at a provider", attrs...)
}
