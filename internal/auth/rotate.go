package auth

import (
	"context"
	"errors"
	"fmt"
	"time"

	"entgo.io/ent/dialect/sql"
	"github.com/google/uuid"

	"tenantry/ent"
	"tenantry/ent/refreshtoken"
	"tenantry/ent/tenant"
	"tenantry/ent/user"
	"tenantry/internal/database"
	"tenantry/internal/problem"
)

var (
	errSessionOver = problem.Unauthorized("invalid_refresh_token", "The session is over. Sign in again.")
	// errReuse is what errSessionOver looks like, to everybody but us.
	errReuse = errSessionOver.Because(errors.New("the token was used before"))
)

// rotate is one compare-and-set on the counter of the session. Who presents the live token moves the session on; who
// presents its predecessor within the grace window gets the same successor; an older one is reuse and ends the session
// (RFC 9700 §4.14.2). A session that was idle for longer than it may be is over. Again says that the
// successor had been given before.
func (a *Auth) rotate(ctx context.Context, t refreshToken, idle time.Duration) (next refreshToken, again bool, err error) {
	now := a.opts.Clock()
	next = refreshToken{session: t.session, counter: t.counter + 1}
	moved, err := a.client.RefreshToken.Update().Where(
		refreshtoken.ID(t.session), refreshtoken.Counter(t.counter), refreshtoken.Revoked(false),
		refreshtoken.ExpiresAtGT(now), refreshtoken.RotatedAtGT(now.Add(-idle)), ofLiveUser,
	).SetCounter(next.counter).SetRotatedAt(now).Save(database.Quiet(ctx))
	if err != nil {
		return next, false, fmt.Errorf("rotate refresh token: %w", err)
	}
	if moved == 1 {
		return next, false, nil
	}
	session, err := a.client.RefreshToken.Get(ctx, t.session)
	switch {
	case ent.IsNotFound(err):
		return next, false, errSessionOver
	case err != nil:
		return next, false, fmt.Errorf("read session: %w", err)
	case session.Revoked, !session.ExpiresAt.After(now), !session.RotatedAt.After(now.Add(-idle)):
		return next, false, errSessionOver
	case a.opts.RefreshGrace > 0 && session.Counter == next.counter && session.RotatedAt.After(now.Add(-a.opts.RefreshGrace)):
		return next, true, nil
	case session.Counter > t.counter:
		return next, false, a.reuse(ctx, session)
	default:
		// The user may not act now. Or the counter is ahead of the row: the database was restored from an older copy.
		return next, false, errSessionOver
	}
}

// ofLiveUser confines sessions to those whose user and tenant are active and whose password is still the one by which they
// began. A session that is refused for it keeps its token, so that it can go on when the user may act again.
func ofLiveUser(sessions *sql.Selector) {
	users, tenants := sql.Table(user.Table).As("u"), sql.Table(tenant.Table).As("t")
	sessions.Where(sql.Exists(sql.Dialect(sessions.Dialect()).Select(users.C(user.FieldID)).From(users).
		Join(tenants).On(users.C(user.FieldTenantID), tenants.C(tenant.FieldID)).
		Where(sql.And(
			sql.ColumnsEQ(users.C(user.FieldID), sessions.C(refreshtoken.FieldUserID)),
			sql.ColumnsEQ(users.C(user.FieldPasswordVersion), sessions.C(refreshtoken.FieldPasswordVersion)),
			sql.EQ(users.C(user.FieldIsActive), true),
			sql.EQ(tenants.C(tenant.FieldIsActive), true),
		))))
}

// reuse revokes a session whose old token has come back. It is durable although the answer is an error.
func (a *Auth) reuse(ctx context.Context, session *ent.RefreshToken) error {
	if err := a.revoke(ctx, session.ID, refreshtoken.RevokedReasonReuse); err != nil {
		return err
	}
	a.opts.Log.WarnContext(ctx, "refresh token reused, session revoked",
		"event", "refresh_reuse", "tenant_id", session.TenantID, "user_id", session.UserID, "session_id", session.ID)
	return errReuse
}

func (a *Auth) revoke(ctx context.Context, session uuid.UUID, reason refreshtoken.RevokedReason) error {
	if err := a.client.RefreshToken.Update().Where(refreshtoken.ID(session), refreshtoken.Revoked(false)).
		SetRevoked(true).SetRevokedReason(reason).Exec(ctx); err != nil {
		return fmt.Errorf("revoke session: %w", err)
	}
	return nil
}
