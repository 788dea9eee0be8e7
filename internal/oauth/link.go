package oauth

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"

	"entgo.io/ent/dialect/sql/sqlgraph"
	"github.com/google/uuid"

	"tenantry/ent"
	"tenantry/ent/oauthstate"
	"tenantry/ent/refreshtoken"
	"tenantry/ent/schema/settings"
	"tenantry/ent/user"
	"tenantry/internal/database"
	"tenantry/internal/principal"
	"tenantry/internal/problem"
	"tenantry/internal/roles"
	"tenantry/internal/sessions"
)

// Who an identity is in a tenant:
//
//	it is linked                                                  → that user, if they may act
//	there is an account of its address; the tenant links by       → that user, from now on; and if the account had not proved its
//	address, and a provider of the server has proved it             address, nobody who had only claimed it comes in any more
//	there is an account of its address, otherwise                 → refused: sign in there, and link
//	there is none, and the tenant takes registrations             → a new user
//	there is none, otherwise                                      → refused
//
// What a tenant has set up is believed about who is linked to it, and nobody else: who may set up a
// provider is not therefore everybody in the tenant. A superuser is above the tenants: what one of
// them has set up never speaks for one, and no address alone does.
var (
	errAccountExists = problem.Conflict("account_exists",
		"There is an account with this e-mail address. Sign in to it in its own way, and link the provider there.")
	errRegistrationClosed = problem.Forbidden("registration_closed",
		"The tenant does not take registrations. Ask its administrator for an account.")
	errNoEmail = problem.Forbidden("email_missing",
		"The provider tells no e-mail address that an account can have. Let it tell one, or sign in otherwise.")
	errIdentityTaken = problem.Conflict("identity_taken", "The identity at the provider belongs to another account.")
	errLinkedAlready = problem.Conflict("linked_already",
		"The account is linked to an identity already. Unlink that first.")
	errChanged   = problem.Conflict("account_changed", "The account was changed meanwhile. Begin again.")
	errSuperuser = problem.Forbidden("superuser",
		"A superuser does not sign in at a provider that a tenant has set up.")
)

// signer is who has signed in, and the version of their password at which that was found out:
// whatever raises it voids what follows.
type signer struct {
	id      uuid.UUID
	version int
}

// userOf returns the user of an identity, by the table above.
func (o *OAuth) userOf(ctx context.Context, h home, u *upstream, is *identity) (signer, error) {
	acting := principal.NewContext(ctx, principal.InTenant(h.id))
	who, err := o.decide(acting, h, u, is)
	if sqlgraph.IsUniqueConstraintError(err) || errors.Is(err, errMeanwhile) {
		// Somebody else was as fast, with the same identity or the same address. Now there is an
		// account.
		who, err = o.decide(acting, h, u, is)
	}
	if sqlgraph.IsUniqueConstraintError(err) || errors.Is(err, errMeanwhile) {
		return signer{}, errChanged.Because(err)
	}
	return who, err
}

// errMeanwhile says that an account is not any more what it was when it was looked at.
var errMeanwhile = errors.New("the account was changed meanwhile")

func (o *OAuth) decide(ctx context.Context, h home, u *upstream, is *identity) (signer, error) {
	known, namesake, err := o.find(ctx, u, is)
	if u.nowhere() { // these are users of the default tenant
		known, namesake, h.settings = nil, nil, settings.Tenant{}
	}
	switch {
	case err != nil:
		return signer{}, err
	case known != nil && (!known.IsActive || known.IsSuperuser && u.own):
		return signer{}, sessions.ErrCredentials
	case known != nil:
		return signer{known.ID, known.PasswordVersion}, nil
	case is.Email == "":
		return signer{}, cmp.Or[error](is.unread, errNoEmail)
	case namesake != nil && !is.Verified && !h.settings.RegistrationOpen():
		// The stranger may have the address of another person, and must not learn whether it has an
		// account here, nor that there is a tenant.
		return signer{}, errRegistrationClosed
	case namesake != nil && (!h.settings.LinkByEmail || !is.Verified || u.own || namesake.IsSuperuser):
		return signer{}, errAccountExists
	case namesake != nil && namesake.OauthID != nil && namesake.EmailVerifiedAt != nil:
		return signer{}, errAccountExists
	case namesake != nil && !namesake.IsActive:
		return signer{}, sessions.ErrCredentials
	case namesake != nil:
		return o.adopt(ctx, u, is, namesake)
	case !h.settings.RegistrationOpen():
		return signer{}, errRegistrationClosed
	default:
		return o.enroll(ctx, u, is)
	}
}

// find returns the user that an identity is linked to, and the one who has its address, in one
// statement.
func (o *OAuth) find(ctx context.Context, u *upstream, is *identity) (known, namesake *ent.User, err error) {
	key := u.key()
	linked := user.And(user.OauthProvider(key), user.OauthID(is.Subject))
	found, err := o.client.User.Query().Where(user.Or(linked, user.Email(is.Email))).All(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("find the user of an identity: %w", err)
	}
	for _, f := range found {
		if f.OauthID != nil && *f.OauthID == is.Subject && *f.OauthProvider == key {
			known = f
		} else {
			namesake = f
		}
	}
	return known, namesake, nil
}

// enroll makes a user who signs in at the provider alone.
func (o *OAuth) enroll(ctx context.Context, u *upstream, is *identity) (who signer, err error) {
	err = database.WithTx(ctx, o.client, func(tx *ent.Client) error {
		create := tx.User.Create().SetEmail(is.Email).SetFullName(is.Name).SetOauthProvider(u.key()).
			SetOauthID(is.Subject)
		// A tenant decides what its own provider says. An address that only it asserts is not
		// verified, so that adopt voids the account when the address is proved.
		if is.Verified && !u.own {
			create.SetEmailVerifiedAt(o.opts.Clock())
		}
		created, err := create.Save(ctx)
		if err != nil {
			return fmt.Errorf("create user: %w", err)
		}
		who = signer{created.ID, created.PasswordVersion}
		return roles.AssignSystem(ctx, tx, created.ID, roles.Member)
	})
	return who, err
}

// adopt links an identity to the account of its address, both of which prove it. An account that
// did not is somebody's who may only have claimed the address: password, other identity, sessions
// and tokens of theirs are void (O-09).
func (o *OAuth) adopt(ctx context.Context, u *upstream, is *identity, namesake *ent.User) (signer, error) {
	unproved, who := namesake.EmailVerifiedAt == nil, signer{namesake.ID, namesake.PasswordVersion}
	if unproved {
		who.version++
	}
	err := database.WithTx(ctx, o.client, func(tx *ent.Client) error {
		update := tx.User.Update().Where(
			user.ID(namesake.ID), user.Email(is.Email), user.IsActive(true), user.IsSuperuser(false),
			user.PasswordVersion(namesake.PasswordVersion),
		)
		if unproved {
			update.Where(user.EmailVerifiedAtIsNil()).ClearPasswordHash().SetPasswordVersion(who.version).
				SetEmailVerifiedAt(o.opts.Clock())
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
		return sessions.DeleteOneTimeTokens(ctx, tx, namesake.ID)
	})
	if err == nil && unproved {
		sessions.MarkRevoked(ctx, o.client, namesake.ID, refreshtoken.RevokedReasonPasswordChange)
	}
	if err == nil {
		o.tell(ctx, "oauth_linked", namesake.ID, u.ref, slog.Bool("by_address", true),
			slog.Bool("password_voided", unproved))
	}
	return who, err
}

// link links an identity to the user who has asked for it: 401 if their session is over by now, 403
// for a superuser at a provider of a tenant, 409 if the identity is somebody else's, or the user
// has another.
func (o *OAuth) link(ctx context.Context, f *flow, u *upstream, is *identity) error {
	asking, err := o.opts.Sessions.OfSession(ctx, f.SessionID.UUID)
	if err != nil {
		return err
	}
	if asking.ID != f.UserID.UUID {
		return sessions.ErrCredentials
	}
	if asking.IsSuperuser && u.own {
		return errSuperuser
	}
	acting := principal.NewContext(ctx, &principal.Principal{TenantID: f.TenantID, UserID: asking.ID})
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

// Link begins a flow that links an identity to the signed-in user, who has signed in just now. The
// errors are those of Authorize, 401 for a session that is older, 403 for a superuser at a provider
// of a tenant, and 409 for who is linked already.
func (o *OAuth) Link(ctx context.Context, me *sessions.Projection, provider, redirectURI string) (*Start, error) {
	if err := o.opts.Sessions.Recent(me); err != nil {
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
		RedirectURI: redirectURI, UserID: uuid.NullUUID{UUID: me.ID, Valid: true},
		SessionID: uuid.NullUUID{UUID: me.CredentialID, Valid: true},
	})
}

// Unlink takes the identity from the signed-in user, who has signed in just now, with every other
// session and whatever is under way, since the identity may have proved it: 401 for a session that
// is older, 409 if there is no other way in. That there is no identity is no error.
func (o *OAuth) Unlink(ctx context.Context, me *sessions.Projection) error {
	if err := o.opts.Sessions.Recent(me); err != nil {
		return err
	}
	err := database.WithTx(ctx, o.client, func(tx *ent.Client) error {
		version := me.PasswordVersion + 1
		unlinked, err := tx.User.Update().Where(
			user.ID(me.ID), user.OauthIDNotNil(), user.PasswordHashNotNil(), user.PasswordVersion(me.PasswordVersion),
		).ClearOauthProvider().ClearOauthID().SetPasswordVersion(version).Save(ctx)
		if err != nil {
			return fmt.Errorf("unlink identity: %w", err)
		}
		if unlinked == 0 {
			return nothingElse(ctx, tx, me.ID)
		}
		if _, err := tx.OAuthState.Delete().Where(oauthstate.UserID(me.ID)).Exec(ctx); err != nil {
			return fmt.Errorf("end what is under way: %w", err)
		}
		return sessions.Keep(ctx, tx, me.ID, me.CredentialID, version)
	})
	if err == nil {
		sessions.MarkRevoked(ctx, o.client, me.ID, refreshtoken.RevokedReasonPasswordChange)
		o.tell(ctx, "oauth_unlinked", me.ID, "", slog.String("by", "user"))
	}
	return err
}

// nothingElse refuses to take the identity of a user who has one, and no password.
func nothingElse(ctx context.Context, tx *ent.Client, id uuid.UUID) error {
	found, err := tx.User.Query().Where(user.ID(id), user.OauthIDNotNil()).All(ctx)
	switch {
	case err != nil:
		return fmt.Errorf("look for an identity: %w", err)
	case len(found) == 0:
		return nil
	case found[0].PasswordHash == nil:
		return problem.Conflict("last_way_in", "There is no password, so that nothing else lets the user in.")
	default:
		return errChanged
	}
}

// tell logs what was done to an account.
func (o *OAuth) tell(ctx context.Context, event string, id uuid.UUID, ref string, more ...slog.Attr) {
	attrs := append([]slog.Attr{
		slog.String("event", event), slog.String("user_id", id.String()), slog.String("provider", ref),
	}, more...)
	o.opts.Log.LogAttrs(ctx, slog.LevelInfo, "identity at a provider", attrs...)
}
