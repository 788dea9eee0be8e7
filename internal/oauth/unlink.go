package oauth

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/google/uuid"

	"tenantry/ent"
	"tenantry/ent/oauthstate"
	"tenantry/ent/refreshtoken"
	"tenantry/ent/user"
	"tenantry/ent/useridentity"
	"tenantry/internal/database"
	"tenantry/internal/problem"
	"tenantry/internal/sessions"
)

// Unlink removes every identity of the signed-in user, who has signed in recently: 401 for an older
// session, 409 if the user has no password, because the last sign-in method cannot be removed. It
// does nothing if there is no identity.
func (o *OAuth) Unlink(ctx context.Context, me *sessions.Projection) error {
	if err := o.opts.Sessions.Recent(me); err != nil {
		return err
	}
	return o.unlink(ctx, me, unlinking{needsPassword: true, prepare: func(update *ent.UserUpdate) {
		// The update clears the primary identity and increments password_version. A trigger of the
		// database then deletes all identities.
		update.Where(user.OauthIDNotNil()).ClearOauthProvider().ClearOauthID()
	}})
}

// UnlinkFrom removes the identity of the signed-in user at a provider. provider is a name that
// Identities returns, or the ID of a provider. Its errors are those of Unlink, with two differences:
// another active identity is also a sign-in method, and a user without an identity at the provider
// gets a 404.
func (o *OAuth) UnlinkFrom(ctx context.Context, me *sessions.Projection, provider string) error {
	if err := o.opts.Sessions.Recent(me); err != nil {
		return err
	}
	all, err := o.Identities(ctx, me.ID)
	if err != nil {
		return err
	}
	var removed []uuid.UUID
	needsPassword := true
	for _, l := range all {
		if l.Provider == provider || l.key == provider {
			removed = append(removed, l.id)
		} else if l.Active {
			needsPassword = false
		}
	}
	if len(removed) == 0 {
		return problem.NotFound()
	}
	return o.unlink(ctx, me, unlinking{provider: provider, needsPassword: needsPassword, identities: removed})
}

// unlinking is which identities are removed.
type unlinking struct {
	provider string
	// needsPassword reports whether the user must have a password, because no other active identity
	// remains.
	needsPassword bool
	// prepare, if set, adds to the update of the user.
	prepare    func(*ent.UserUpdate)
	identities []uuid.UUID
}

// unlink removes identities and the flows of the user, and ends the user's other sessions, which the
// identities may have started. If concurrent calls have the same password_version, only one of them
// succeeds: together they cannot remove the last sign-in method.
func (o *OAuth) unlink(ctx context.Context, me *sessions.Projection, u unlinking) error {
	version, done := me.PasswordVersion+1, false
	err := database.WithTx(ctx, o.client, func(tx *ent.Client) error {
		update := tx.User.Update().Where(user.ID(me.ID), user.PasswordVersion(me.PasswordVersion)).
			SetPasswordVersion(version)
		if u.needsPassword {
			update.Where(user.PasswordHashNotNil())
		}
		if u.prepare != nil {
			u.prepare(update)
		}
		updated, err := update.Save(ctx)
		if err != nil {
			return fmt.Errorf("unlink identity: %w", err)
		}
		done = updated > 0
		if !done {
			return u.refusal(ctx, tx, me.ID)
		}
		if u.identities != nil {
			if _, err := tx.UserIdentity.Delete().Where(useridentity.UserID(me.ID), useridentity.IDIn(u.identities...)).
				Exec(ctx); err != nil {
				return fmt.Errorf("unlink identity: %w", err)
			}
		}
		if _, err := tx.OAuthState.Delete().Where(oauthstate.UserID(me.ID)).Exec(ctx); err != nil {
			return fmt.Errorf("delete flows of the user: %w", err)
		}
		return sessions.Keep(ctx, tx, me.ID, me.CredentialID, version)
	})
	if err == nil && done {
		sessions.MarkRevoked(ctx, o.client, me.ID, refreshtoken.RevokedReasonPasswordChange)
		o.tell(ctx, "oauth_unlinked", me.ID, u.provider, slog.String("by", "user"))
	}
	return err
}

// refusal returns why no identity was removed, or nil if the user has none.
func (u unlinking) refusal(ctx context.Context, tx *ent.Client, id uuid.UUID) error {
	found, err := tx.User.Query().Where(user.ID(id), user.OauthIDNotNil()).All(ctx)
	switch {
	case err != nil:
		return fmt.Errorf("read user: %w", err)
	case len(found) == 0:
		return nil
	case u.needsPassword && found[0].PasswordHash == nil:
		return problem.Conflict("last_way_in", "The account has no password and no other identity that signs it in.")
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
