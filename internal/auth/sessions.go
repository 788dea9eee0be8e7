package auth

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"

	"tenantry/ent"
	"tenantry/ent/refreshtoken"
	"tenantry/internal/problem"
)

// maxUserAgent is how much of a user agent is kept, in bytes.
const maxUserAgent = 255

var errSessionOver = problem.Unauthorized("invalid_refresh_token", "The session is over. Sign in again.")

// startSession makes the row of a new session and its first tokens.
func (a *Auth) startSession(ctx context.Context, client *ent.Client, p *Projection, from Origin) (*Tokens, error) {
	now := a.opts.Clock()
	session, err := client.RefreshToken.Create().SetTenantID(p.TenantID).SetUserID(p.ID).
		SetRotatedAt(now).SetExpiresAt(now.Add(a.opts.RefreshTokenTTL)).
		SetIP(from.IP).SetUserAgent(text(from.UserAgent, maxUserAgent)).
		Save(ctx)
	if err != nil {
		return nil, fmt.Errorf("start session: %w", err)
	}
	return a.tokens(p, refreshToken{session: session.ID}, session.ExpiresAt)
}

// rotate is one compare-and-set on the counter of the session. Who presents the live token moves the session on; who
// presents its predecessor within the grace window gets the same successor; an older one is reuse and ends the session
// (RFC 9700 §4.14.2).
func (a *Auth) rotate(ctx context.Context, t refreshToken) (refreshToken, error) {
	now := a.opts.Clock()
	next := refreshToken{session: t.session, counter: t.counter + 1}
	moved, err := a.client.RefreshToken.Update().Where(
		refreshtoken.ID(t.session), refreshtoken.Counter(t.counter), refreshtoken.Revoked(false),
		refreshtoken.ExpiresAtGT(now), refreshtoken.RotatedAtGT(now.Add(-a.opts.RefreshIdleTTL)),
	).SetCounter(next.counter).SetRotatedAt(now).Save(ctx)
	if err != nil {
		return next, fmt.Errorf("rotate refresh token: %w", err)
	}
	if moved == 1 {
		return next, nil
	}
	session, err := a.client.RefreshToken.Get(ctx, t.session)
	switch {
	case ent.IsNotFound(err):
		return next, errSessionOver
	case err != nil:
		return next, fmt.Errorf("read session: %w", err)
	case session.Revoked, !session.ExpiresAt.After(now), !session.RotatedAt.After(now.Add(-a.opts.RefreshIdleTTL)):
		return next, errSessionOver
	case session.Counter == next.counter && session.RotatedAt.After(now.Add(-a.opts.RefreshGrace)):
		return next, nil
	case session.Counter > t.counter:
		return next, a.reuse(ctx, session)
	default:
		// A counter ahead of the row: the database was restored from an older copy.
		return next, errSessionOver
	}
}

// reuse revokes a session whose old token has come back. It is durable although the answer is an error.
func (a *Auth) reuse(ctx context.Context, session *ent.RefreshToken) error {
	if err := a.revoke(ctx, session.ID, refreshtoken.RevokedReasonReuse); err != nil {
		return err
	}
	a.opts.Log.WarnContext(ctx, "refresh token reused, session revoked",
		"event", "refresh_reuse", "tenant_id", session.TenantID, "user_id", session.UserID, "session_id", session.ID)
	return errSessionOver
}

func (a *Auth) revoke(ctx context.Context, session uuid.UUID, reason refreshtoken.RevokedReason) error {
	if err := a.client.RefreshToken.Update().Where(refreshtoken.ID(session), refreshtoken.Revoked(false)).
		SetRevoked(true).SetRevokedReason(reason).Exec(ctx); err != nil {
		return fmt.Errorf("revoke session: %w", err)
	}
	return nil
}

// tokens are what a client gets of a session.
func (a *Auth) tokens(p *Projection, t refreshToken, end time.Time) (*Tokens, error) {
	access, ttl, err := a.access.issue(p, t.session, end)
	if err != nil {
		return nil, err
	}
	return &Tokens{Access: access, ExpiresIn: ttl, Refresh: a.refresh.encode(t), User: p}, nil
}

// text makes what a client said of itself fit to be stored: valid UTF-8 without NUL, which Postgres refuses, and short.
func text(s string, limit int) string {
	if len(s) > limit {
		s = s[:limit]
	}
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == '\u007f' || r == '\ufffd' {
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, ""))
}
