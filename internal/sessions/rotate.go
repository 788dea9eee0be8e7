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
	errSessionOver = problem.Unauthorized("invalid_refresh_token", "The session has ended. Sign in again.")
	// errReuse renders like errSessionOver; it is distinct for metrics.
	errReuse = errSessionOver.Because(errors.New("the token was used before"))
)

// rotateSession moves a session ($3) from a counter ($4) to the next ($1) at a time ($2). The
// session must not have expired and must have been used since $5. Its user and tenant must be
// active, and its password version and its provider, if any, unchanged since the sign-in. A session
// refused for such a reason keeps its token, so that it can continue when the user is active again.
// The statement is written by hand for speed, as the projection is.
const rotateSession = `UPDATE refresh_tokens AS s SET counter = $1, rotated_at = $2, updated_at = $2
WHERE id = $3 AND counter = $4 AND NOT revoked AND expires_at > $2 AND rotated_at > $5 AND EXISTS (
	SELECT 1 FROM users AS u JOIN tenants AS t ON t.id = u.tenant_id
	WHERE u.id = s.user_id AND u.password_version = s.password_version AND u.is_active AND t.is_active
) AND ` + ofLiveProvider

// rotate is one compare-and-set on the counter of the session. The current token advances the
// session. Its predecessor, within the reuse window, returns the same successor, and again is true.
// An older token is reuse and revokes the session (RFC 9700 §4.14.2). A session that was idle for
// longer than idle has expired.
func (s *Sessions) rotate(ctx context.Context, t refreshToken, idle time.Duration) (next refreshToken, again bool,
	err error) {
	now := s.opts.Clock()
	next = refreshToken{session: t.session, counter: t.counter + 1}
	result, err := s.client.ExecContext(database.WithoutInvalidation(ctx), rotateSession, next.counter, now, t.session,
		t.counter, now.Add(-idle))
	if err != nil {
		return next, false, fmt.Errorf("rotate refresh token: %w", err)
	}
	if moved, err := result.RowsAffected(); err != nil {
		return next, false, fmt.Errorf("rotate refresh token: %w", err)
	} else if moved == 1 {
		return next, false, nil
	}
	session, err := s.client.RefreshToken.Query().Where(refreshtoken.ID(t.session), unrevoked).Only(ctx)
	switch {
	case ent.IsNotFound(err):
		return next, false, errSessionOver
	case err != nil:
		return next, false, fmt.Errorf("read session: %w", err)
	case !session.ExpiresAt.After(now), !session.RotatedAt.After(now.Add(-idle)):
		return next, false, errSessionOver
	case s.opts.RefreshGrace > 0 && session.Counter == next.counter &&
		session.RotatedAt.After(now.Add(-s.opts.RefreshGrace)):
		return next, true, nil
	case session.Counter > t.counter:
		return next, false, s.reuse(ctx, session)
	default:
		// The user or the tenant is disabled, or the token's counter is ahead of the row because
		// the database was restored from an older copy.
		return next, false, errSessionOver
	}
}

// reuse revokes a session whose old token was presented, and returns errReuse. The revocation is
// committed although the request fails.
func (s *Sessions) reuse(ctx context.Context, session *ent.RefreshToken) error {
	if _, err := s.revoke(ctx, refreshtoken.RevokedReasonReuse, refreshtoken.ID(session.ID)); err != nil {
		return err
	}
	ctx = principal.NewContext(ctx, principal.InTenant(session.TenantID))
	s.opts.Log.WarnContext(ctx, "refresh token reused, session revoked",
		"event", "refresh_reuse", "user_id", session.UserID, "session_id", session.ID)
	return errReuse
}
