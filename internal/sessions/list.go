package sessions

import (
	"context"
	"fmt"
	"strings"
	"time"

	"entgo.io/ent/dialect/sql"
	"github.com/google/uuid"

	"tenantry/ent"
	"tenantry/ent/predicate"
	"tenantry/ent/refreshtoken"
	"tenantry/ent/schema/settings"
	"tenantry/internal/cache"
	"tenantry/internal/principal"
	"tenantry/internal/problem"
)

// maxSessions is how many sessions are listed.
const maxSessions = 100

// FirstTokens returns the first tokens of a session again, for a client that may not have
// received them: nil if the client has used them since, 401 if the session has ended or its user is
// disabled.
func (s *Sessions) FirstTokens(ctx context.Context, session uuid.UUID) (*Tokens, error) {
	p, err := s.OfSession(ctx, session)
	if err != nil {
		return nil, err
	}
	unused, err := s.client.RefreshToken.Query().Where(refreshtoken.ID(session), refreshtoken.Counter(0)).
		Exist(principal.NewContext(ctx, principal.OfUser(p.TenantID, p.ID)))
	if err != nil || !unused {
		return nil, err
	}
	return s.tokens(p, refreshToken{session: session}, p.Expires)
}

// tokens returns the refresh token of a session and a new access token.
func (s *Sessions) tokens(p *Projection, t refreshToken, expires time.Time) (*Tokens, error) {
	now := s.opts.Clock()
	// A token never outlives its session.
	ttl := min(s.opts.Lifetimes.In(p.TenantSettings).AccessToken, expires.Sub(now)).Truncate(time.Second)
	access, err := s.access.issue(p, t.session, now, ttl)
	if err != nil {
		return nil, err
	}
	return &Tokens{Session: t.session, Access: access, ExpiresIn: ttl, Refresh: s.refresh.encode(t), User: p}, nil
}

// ofSession returns the projection of a session, nil if the session has ended. Callers share the
// projection.
func (s *Sessions) ofSession(ctx context.Context, session uuid.UUID) (*Projection, error) {
	return s.Projection(session, func() (*Projection, error) { return s.batches.load(ctx, session) })
}

// Projection returns the projection of a credential from the cache, or else from load, which
// returns nil if the credential is not valid. It is nil for a credential that has expired. Callers
// share the projection.
func (s *Sessions) Projection(credential uuid.UUID, load func() (*Projection, error)) (*Projection, error) {
	now := s.opts.Clock()
	p, err := cache.Get(s.opts.Cache, cache.Key{Kind: cache.Session, ID: credential},
		func() (cache.Loaded[*Projection], error) {
			p, err := load()
			if p == nil || err != nil {
				return cache.Loaded[*Projection]{}, err
			}
			rows := []uuid.UUID{credential, p.ID, p.TenantID}
			return cache.Loaded[*Projection]{Value: p, Rows: rows, Size: p.size()}, nil
		})
	if p != nil && (p.User == nil || p.CredentialID != credential || !p.Expires.After(now)) {
		return nil, err
	}
	return p, err
}

// OfSession returns the projection of a session: 401 if the session has ended or its user is
// disabled.
func (s *Sessions) OfSession(ctx context.Context, session uuid.UUID) (*Projection, error) {
	p, err := s.ofSession(principal.System(ctx, "session: it was asked from it before"), session)
	if err != nil {
		return nil, err
	}
	if p == nil || !p.Live() {
		return nil, ErrCredentials
	}
	return p, nil
}

// recently is how long ago a user has to have signed in who changes the ways in (ASVS 7.5.1).
const recently = 10 * time.Minute

// Recent fails with 401 if the user has signed in more than ten minutes ago (RFC 9470 §3).
func (s *Sessions) Recent(me *Projection) error {
	if s.opts.Clock().Sub(me.AuthenticatedAt) > recently {
		return problem.Unauthorized("insufficient_user_authentication",
			"Recent sign-in required: sign in again and retry within ten minutes.")
	}
	return nil
}

// List returns the sessions of a user that are not over by the tenant's settings, the last used
// first, at most a hundred. ExpiresAt is when a session ends unless it is refreshed before.
func (s *Sessions) List(ctx context.Context, u *ent.User, home settings.Tenant) ([]*ent.RefreshToken, error) {
	now, limit := s.opts.Clock(), s.opts.Lifetimes.In(home).RefreshIdle
	sessions, err := s.client.RefreshToken.Query().Where(
		refreshtoken.UserID(u.ID), refreshtoken.Revoked(false), refreshtoken.PasswordVersion(u.PasswordVersion),
		func(q *sql.Selector) { q.Where(hasLiveProvider(q)) },
		refreshtoken.ExpiresAtGT(now), refreshtoken.RotatedAtGT(now.Add(-limit)),
	).Order(refreshtoken.ByRotatedAt(sql.OrderDesc()), refreshtoken.ByID(sql.OrderDesc())).Limit(maxSessions).All(ctx)
	if err != nil {
		return nil, fmt.Errorf("list sessions: %w", err)
	}
	for _, session := range sessions {
		if idle := session.RotatedAt.Add(limit); idle.Before(session.ExpiresAt) {
			session.ExpiresAt = idle
		}
	}
	return sessions, nil
}

// End revokes one session of a user: 404 if the user has no live session of that id.
func (s *Sessions) End(ctx context.Context, user, session uuid.UUID) error {
	ended, err := s.revoke(ctx, refreshtoken.RevokedReasonLogout, refreshtoken.ID(session), refreshtoken.UserID(user))
	if err == nil && !ended {
		err = problem.NotFound()
	}
	return err
}

// revoke revokes one session, and reports whether it was live.
func (s *Sessions) revoke(ctx context.Context, reason refreshtoken.RevokedReason,
	session ...predicate.RefreshToken) (revoked bool, err error) {
	live := append(session, unrevoked)
	for {
		n, err := s.client.RefreshToken.Update().Where(live...).SetRevoked(true).SetRevokedReason(reason).Save(ctx)
		if err != nil {
			return false, fmt.Errorf("revoke session: %w", err)
		}
		if n > 0 {
			return true, nil
		}
		// The update may have waited for a transaction that keeps the session and raises the
		// password_version of both. It has then compared the session's new version with the user's
		// old one. A statement that begins now sees both.
		found, err := s.client.RefreshToken.Query().Where(live...).Exist(ctx)
		if err != nil || !found {
			return false, err
		}
	}
}

// text makes what a client said of itself fit to be stored: valid UTF-8 without NUL, which Postgres
// refuses, and short.
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
