package sessions

import (
	"context"
	"errors"
	"fmt"
	"time"

	"tenantry/ent"
	"tenantry/ent/refreshtoken"
	"tenantry/internal/database"
	"tenantry/internal/principal"
	"tenantry/internal/problem"
)

var (
	errSessionOver = problem.Unauthorized("invalid_refresh_token", "The session is over. Sign in again.")
	// errReuse is what errSessionOver looks like, to everybody but us.
	errReuse = errSessionOver.Because(errors.New("the token was used before"))
)

// rotateSession moves a session ($3) from a counter ($4) to the next ($1) at a time ($2), if it is not over by then, was used since $5, and
// its user and tenant are active and its password, and its provider if it has one, still those by which it began. A session that is refused for that keeps its
// token, so that it can go on when the user may act again. It is written out as the projection is, for its time.
const rotateSession = `UPDATE refresh_tokens AS s SET counter = $1, rotated_at = $2, updated_at = $2
WHERE id = $3 AND counter = $4 AND NOT revoked AND expires_at > $2 AND rotated_at > $5 AND EXISTS (
	SELECT 1 FROM users AS u JOIN tenants AS t ON t.id = u.tenant_id
	WHERE u.id = s.user_id AND u.password_version = s.password_version AND u.is_active AND t.is_active
) AND ` + ofLiveProvider

// rotate is one compare-and-set on the counter of the session. Who presents the live token moves the session on; who
// presents its predecessor within the grace window gets the same successor; an older one is reuse and ends the session
// (RFC 9700 §4.14.2). A session that was idle for longer than it may be is over. Again says that the
// successor had been given before.
func (a *Sessions) rotate(ctx context.Context, t refreshToken, idle time.Duration) (next refreshToken, again bool, err error) {
	now := a.opts.Clock()
	next = refreshToken{session: t.session, counter: t.counter + 1}
	result, err := a.client.ExecContext(database.WithoutInvalidation(ctx), rotateSession, next.counter, now, t.session, t.counter, now.Add(-idle))
	if err != nil {
		return next, false, fmt.Errorf("rotate refresh token: %w", err)
	}
	if moved, err := result.RowsAffected(); err != nil {
		return next, false, fmt.Errorf("rotate refresh token: %w", err)
	} else if moved == 1 {
		return next, false, nil
	}
	session, err := a.client.RefreshToken.Query().Where(refreshtoken.ID(t.session), unrevoked).Only(ctx)
	switch {
	case ent.IsNotFound(err):
		return next, false, errSessionOver
	case err != nil:
		return next, false, fmt.Errorf("read session: %w", err)
	case !session.ExpiresAt.After(now), !session.RotatedAt.After(now.Add(-idle)):
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

// reuse revokes a session whose old token has come back. It is durable although the answer is an error.
func (a *Sessions) reuse(ctx context.Context, session *ent.RefreshToken) error {
	if _, err := a.revoke(ctx, refreshtoken.RevokedReasonReuse, refreshtoken.ID(session.ID)); err != nil {
		return err
	}
	ctx = principal.NewContext(ctx, principal.InTenant(session.TenantID))
	a.opts.Log.WarnContext(ctx, "refresh token reused, session revoked",
		"event", "refresh_reuse", "user_id", session.UserID, "session_id", session.ID)
	return errReuse
}
