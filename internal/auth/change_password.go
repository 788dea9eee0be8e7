package auth

import (
	"context"
	"fmt"
	"log/slog"
	"strings"

	"github.com/google/uuid"

	"tenantry/ent"
	"tenantry/ent/oauthstate"
	"tenantry/ent/refreshtoken"
	"tenantry/ent/user"
	"tenantry/internal/database"
	"tenantry/internal/password"
	"tenantry/internal/principal"
	"tenantry/internal/problem"
	"tenantry/internal/sessions"
)

// PasswordChange is a new password of a user who knows the current one.
type PasswordChange struct {
	Current, Next string
	// UnlinkIdentities removes the identities of the user at providers, which are sign-in methods
	// too.
	UnlinkIdentities bool
}

// ChangePassword replaces the password of a user who knows the current one, and revokes every
// session except the session of the request (ASVS 6.2.3, 7.4.3). It fails with 422 if either
// password is not acceptable, and with 409 if another request changed the password at the same
// time.
func (a *Auth) ChangePassword(ctx context.Context, me *sessions.Projection, change PasswordChange,
	from sessions.Origin) error {
	leave, err := a.opts.Hasher.Admit(ctx, ShareOf(ctx))
	if err != nil {
		return err
	}
	defer leave()
	home, err := a.client.Tenant.Get(ctx, me.TenantID)
	if err != nil {
		return fmt.Errorf("read tenant: %w", err)
	}
	if err := password.Check(change.Next, home, me.Email); err != nil {
		return problem.Invalid(problem.Field{Pointer: "/new_password", Detail: err.Error()})
	}
	system := principal.System(ctx, "change of password: throttles belong to no tenant")
	try, err := a.opts.Limiter.SpendChange(system, from.IP, accountOf(home.Slug, me.Email), me.ID)
	if err != nil {
		return err
	}
	u, err := a.client.User.Get(ctx, me.ID)
	if err != nil {
		return fmt.Errorf("read user: %w", err)
	}
	matches, err := a.opts.Hasher.Verify(ctx, u.PasswordHash, change.Current)
	if err != nil {
		try.Refund(system)
		return err
	}
	if !matches {
		return problem.Invalid(problem.Field{Pointer: "/current_password", Detail: "is not the password"})
	}
	if err := try.Reset(system); err != nil {
		return err
	}
	hash, err := a.opts.Hasher.Hash(ctx, change.Next)
	if err != nil {
		return err
	}
	err = replacePassword(ctx, a.client, u,
		replacement{hash: hash, keep: me.CredentialID, unlink: change.UnlinkIdentities})
	if err == nil && change.UnlinkIdentities {
		LogUnlinked(ctx, a.opts.Log, u, "user")
	}
	return err
}

// LogUnlinked logs that the identity of a user was removed with the password, if the user had one,
// and by which actor: "user" or "operator".
func LogUnlinked(ctx context.Context, log *slog.Logger, u *ent.User, by string) {
	if u.OauthProvider == nil {
		return
	}
	provider, _, _ := strings.Cut(*u.OauthProvider, ":") // the name, or the ID of one of the tenant
	log.InfoContext(ctx, "identity at a provider", "event", "oauth_unlinked", "tenant_id", u.TenantID, "user_id", u.ID,
		"provider", provider, "by", by, "with_password", true)
}

// SetPassword replaces the password of a user without the current one, revokes every session, and
// removes the identities at providers, which are sign-in methods too. It fails with 422 if the
// password is not acceptable. The caller calls LogUnlinked.
func SetPassword(ctx context.Context, client *ent.Client, hasher *password.Hasher, home *ent.Tenant, u *ent.User,
	next string) error {
	if err := password.Check(next, home, u.Email); err != nil {
		return problem.Invalid(problem.Field{Pointer: "/password", Detail: err.Error()})
	}
	hash, err := hasher.Hash(ctx, next)
	if err != nil {
		return err
	}
	return replacePassword(ctx, client, u, replacement{hash: hash, unlink: true})
}

// replacement is a new password hash, the session to keep, if any, and whether the identities at
// providers are removed.
type replacement struct {
	hash   string
	keep   uuid.UUID
	unlink bool
}

// replacePassword stores a hash and revokes every session except keep. A concurrent sign-in with
// the old password starts a session of the old version, which is revoked too.
func replacePassword(ctx context.Context, client *ent.Client, u *ent.User, with replacement) error {
	version := u.PasswordVersion + 1
	err := database.WithTx(ctx, client, func(tx *ent.Client) error {
		update := tx.User.Update().Where(user.ID(u.ID), user.PasswordVersion(u.PasswordVersion)).
			SetPasswordHash(with.hash).SetPasswordVersion(version)
		if with.unlink { // with a raised password_version this deletes every identity (schema.UserIdentity)
			update.ClearOauthProvider().ClearOauthID()
		}
		replaced, err := update.Save(ctx)
		if err != nil {
			return fmt.Errorf("replace password: %w", err)
		}
		if replaced == 0 {
			return problem.Conflict("password_changed", "The password was changed meanwhile.")
		}
		if with.unlink { // a flow that would link another identity
			if _, err := tx.OAuthState.Delete().Where(oauthstate.UserID(u.ID)).Exec(ctx); err != nil {
				return fmt.Errorf("delete flows of the user: %w", err)
			}
		}
		if with.keep == uuid.Nil {
			return nil
		}
		return sessions.Keep(ctx, tx, u.ID, with.keep, version)
	})
	if err == nil {
		sessions.MarkRevoked(ctx, client, u.ID, refreshtoken.RevokedReasonPasswordChange)
	}
	return err
}
