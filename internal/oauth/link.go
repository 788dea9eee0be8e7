package oauth

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"

	"entgo.io/ent/dialect/sql"
	"entgo.io/ent/dialect/sql/sqlgraph"
	"github.com/google/uuid"

	"tenantry/ent"
	"tenantry/ent/refreshtoken"
	"tenantry/ent/schema/settings"
	"tenantry/ent/user"
	"tenantry/ent/useridentity"
	"tenantry/internal/database"
	"tenantry/internal/principal"
	"tenantry/internal/problem"
	"tenantry/internal/roles"
	"tenantry/internal/sessions"
)

// Which user an identity signs in:
//
//	the identity is linked                                     → its user, if the user may sign in
//	an account has the address of the identity; the tenant     → that account, which is linked from
//	links by address, and a provider of the server has           then on; an account with an
//	verified the address                                         unverified address is reset first
//	an account has the address, otherwise                      → refused: sign in to the account, and link
//	no account has the address; registration is open           → a new user
//	no account has the address, otherwise                      → refused
//
// A tenant's provider is trusted for accounts already linked, never for e-mail matching, never for
// superusers: the right to set up a provider is not the right to sign in as every user of the
// tenant. An address alone never identifies a superuser. Nor does it add an identity to a verified
// account that has one: its user signs in with that, and links.
var (
	errAccountExists = problem.Conflict("account_exists",
		"There is an account with this e-mail address. Sign in to it in its own way, and link the provider there.")
	errRegistrationClosed = problem.Forbidden("registration_closed",
		"The tenant does not take registrations. Ask its administrator for an account.")
	errNoEmail = problem.Forbidden("email_missing",
		"The provider tells no e-mail address that an account can have. Let it tell one, or sign in otherwise.")
	errIdentityTaken = problem.Conflict("identity_taken", "The identity at the provider belongs to another account.")
	errLinkedAlready = problem.Conflict("linked_already",
		"The account is linked to another identity at this provider already. Unlink that first.")
	errChanged   = problem.Conflict("account_changed", "The account was changed meanwhile. Begin again.")
	errSuperuser = problem.Forbidden("superuser",
		"A superuser does not sign in at a provider that a tenant has set up.")
)

// signer is the user who has signed in, and their password_version at that time. Raising it voids
// the sign-in.
type signer struct {
	id      uuid.UUID
	version int
}

// account is a user as sign-in with an identity reads it.
type account struct {
	ID              uuid.UUID      `sql:"id"`
	PasswordVersion int            `sql:"password_version"`
	IsActive        bool           `sql:"is_active"`
	IsSuperuser     bool           `sql:"is_superuser"`
	EmailVerifiedAt sql.NullTime   `sql:"email_verified_at"`
	PrimaryIdentity sql.NullString `sql:"oauth_id"`
	// LinkedUser is the user of the identity, or null.
	LinkedUser uuid.NullUUID `sql:"linked_user"`
}

// userOf returns the user of an identity, by the table above.
func (o *OAuth) userOf(ctx context.Context, h home, u *upstream, is *identity) (signer, error) {
	acting := principal.NewContext(ctx, principal.InTenant(h.id))
	who, err := o.decide(acting, h, u, is)
	if sqlgraph.IsUniqueConstraintError(err) || errors.Is(err, errMeanwhile) {
		// A concurrent sign-in with the same identity or address has created or linked the account.
		who, err = o.decide(acting, h, u, is)
	}
	if sqlgraph.IsUniqueConstraintError(err) || errors.Is(err, errMeanwhile) {
		return signer{}, errChanged.Because(err)
	}
	return who, err
}

// errMeanwhile reports that an account has changed since it was read.
var errMeanwhile = errors.New("the account was changed meanwhile")

func (o *OAuth) decide(ctx context.Context, h home, u *upstream, is *identity) (signer, error) {
	known, namesake, err := o.find(ctx, h, u, is)
	if u.ofUnknownTenant() { // these are users of the default tenant
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
		// The client may claim the address of another person, and must not learn whether it has an
		// account here, nor that there is a tenant.
		return signer{}, errRegistrationClosed
	case namesake != nil && (!h.settings.LinkByEmail || !is.Verified || u.own || namesake.IsSuperuser):
		return signer{}, errAccountExists
	case namesake != nil && namesake.PrimaryIdentity.Valid && namesake.EmailVerifiedAt.Valid:
		return signer{}, errAccountExists
	case namesake != nil && !namesake.IsActive:
		return signer{}, sessions.ErrCredentials
	case namesake != nil:
		return o.adopt(ctx, h, u, is, namesake)
	case !h.settings.RegistrationOpen():
		return signer{}, errRegistrationClosed
	default:
		return o.enroll(ctx, u, is)
	}
}

// find returns the user that an identity is linked to, and the one who has its address, in one
// statement. The user of the identity is a scalar subquery, which both databases run once, by its
// index; a join would read the users of the tenant from end to end.
func (o *OAuth) find(ctx context.Context, h home, u *upstream, is *identity) (known, namesake *account, err error) {
	var found []*account
	err = o.client.User.Query().Modify(func(s *sql.Selector) {
		linked := func() *sql.Selector {
			i := sql.Dialect(s.Dialect()).Select().From(sql.Table(useridentity.Table).As("i"))
			return i.Select(i.C(useridentity.FieldUserID)).Where(sql.And(
				sql.EQ(i.C(useridentity.FieldTenantID), h.id), sql.EQ(i.C(useridentity.FieldProvider), u.key()),
				sql.EQ(i.C(useridentity.FieldSubject), is.Subject),
			))
		}
		s.Where(sql.Or(sql.EQ(s.C(user.FieldEmail), is.Email), sql.P(func(b *sql.Builder) {
			b.Ident(s.C(user.FieldID)).WriteString(" = ").Wrap(func(b *sql.Builder) { b.Join(linked()) })
		})))
		s.Select(s.Columns(user.FieldID, user.FieldPasswordVersion, user.FieldIsActive, user.FieldIsSuperuser,
			user.FieldEmailVerifiedAt, user.FieldOauthID)...).AppendSelectExprAs(linked(), "linked_user")
	}).Scan(ctx, &found)
	if err != nil {
		return nil, nil, fmt.Errorf("find the user of an identity: %w", err)
	}
	for _, f := range found {
		if f.LinkedUser.Valid && f.LinkedUser.UUID == f.ID {
			known = f
		} else {
			namesake = f
		}
	}
	return known, namesake, nil
}

// enroll creates a user who signs in at the provider alone. A trigger of the database stores the
// primary identity of a new user as their first identity.
func (o *OAuth) enroll(ctx context.Context, u *upstream, is *identity) (who signer, err error) {
	err = database.WithTx(ctx, o.client, func(tx *ent.Client) error {
		create := tx.User.Create().SetEmail(is.Email).SetFullName(is.Name).SetOauthProvider(u.key()).
			SetOauthID(is.Subject)
		// A tenant controls what its own provider claims. An address that only such a provider
		// asserts is not verified, so that adopt resets the account when the address is verified.
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

// adopt links an identity to the account of its address, which the provider has verified. An
// account that has not verified the address may be an attacker's, who registered the address of
// another person: its password, identities, sessions and one-time tokens are removed (O-09). A
// trigger of the database deletes the identities of a user whose primary identity is cleared while
// password_version is raised.
func (o *OAuth) adopt(ctx context.Context, h home, u *upstream, is *identity, namesake *account) (signer, error) {
	unproved, who := !namesake.EmailVerifiedAt.Valid, signer{namesake.ID, namesake.PasswordVersion}
	if unproved {
		who.version++
	}
	err := database.WithTx(ctx, o.client, func(tx *ent.Client) error {
		update := tx.User.Update().Where(
			user.ID(namesake.ID), user.Email(is.Email), user.IsActive(true), user.IsSuperuser(false),
			user.PasswordVersion(namesake.PasswordVersion),
		).SetPasswordVersion(who.version)
		if unproved {
			update.Where(user.EmailVerifiedAtIsNil()).ClearPasswordHash().ClearOauthProvider().ClearOauthID().
				SetEmailVerifiedAt(o.opts.Clock())
		} else {
			update.Where(user.EmailVerifiedAtNotNil(), user.OauthIDIsNil())
		}
		adopted, err := update.Save(ctx)
		if err != nil {
			return fmt.Errorf("link by address: %w", err)
		}
		if adopted == 0 {
			return errMeanwhile
		}
		linked, err := o.insertIdentity(ctx, tx, h.id, who, u, is, useridentity.VerifiedByEmail)
		if err == nil && !linked {
			err = errMeanwhile
		}
		if err != nil || !unproved {
			return err
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

// link links an identity to the user who began the flow. It returns 401 if their session is no
// longer valid, 403 for a superuser at a provider of a tenant, and 409 if the identity belongs to
// another user, or the user has another identity at the provider. Idempotent.
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
	acting := principal.NewContext(ctx, principal.OfUser(f.TenantID, asking.ID))
	linked, err := o.insertIdentity(acting, o.client, f.TenantID, signer{asking.ID, asking.PasswordVersion}, u, is,
		useridentity.VerifiedBySession)
	if err == nil && !linked {
		err = errChanged
	}
	if sqlgraph.IsUniqueConstraintError(err) {
		err = o.conflict(acting, asking.ID, u, is)
	}
	if err != nil {
		return err
	}
	o.tell(acting, "oauth_linked", asking.ID, u.ref, slog.Bool("by_address", false))
	return nil
}

// conflict returns why an identity cannot be linked to a user, or nil if it is already linked to
// that user.
func (o *OAuth) conflict(ctx context.Context, id uuid.UUID, u *upstream, is *identity) error {
	other, err := o.client.UserIdentity.Query().
		Where(useridentity.Provider(u.key()), useridentity.Subject(is.Subject)).Only(ctx)
	switch {
	case ent.IsNotFound(err):
		return errLinkedAlready
	case err != nil:
		return fmt.Errorf("read identity: %w", err)
	case other.UserID != id:
		return errIdentityTaken
	default:
		return nil
	}
}
