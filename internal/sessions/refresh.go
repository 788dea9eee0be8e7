package sessions

import (
	"context"
	"errors"

	"tenantry/ent/refreshtoken"
	"tenantry/internal/outcomes"
	"tenantry/internal/principal"
)

// Refresh exchanges a refresh token for its successor and a new access token. User and tenant are
// checked again.
func (s *Sessions) Refresh(ctx context.Context, presented string) (*Tokens, error) {
	tokens, again, err := s.exchange(ctx, presented)
	s.refreshes.Count(refreshOutcome(again, err))
	return tokens, err
}

// exchange also reports whether the same successor was returned before.
func (s *Sessions) exchange(ctx context.Context, presented string) (tokens *Tokens, again bool, err error) {
	t, err := s.refresh.decode(presented)
	if err != nil {
		return nil, false, errSessionOver
	}
	// The token proves the session, whatever its tenant: this server wrote it.
	ctx = principal.System(ctx, "refresh: the token's MAC names the session")
	user, err := s.ofSession(ctx, t.session)
	if err != nil {
		return nil, false, err
	}
	if user != nil {
		principal.Identify(ctx, user.TenantID, user.ID)
	}
	if user == nil || !user.Live() {
		return nil, false, errSessionOver
	}
	// This is the last statement, so that a request that fails in an outage leaves the token valid.
	next, again, err := s.rotate(ctx, t, s.opts.Lifetimes.In(user.TenantSettings).RefreshIdle)
	if err != nil {
		return nil, false, err
	}
	tokens, err = s.tokens(user, next, user.Expires)
	return tokens, again, err
}

// Logout ends the session of a refresh token. An unknown, expired or revoked token is not
// an error (RFC 7009 §2.2).
func (s *Sessions) Logout(ctx context.Context, presented string) error {
	t, err := s.refresh.decode(presented)
	if err != nil {
		return nil //nolint:nilerr // nothing to end
	}
	ctx = principal.System(ctx, "sign-out: the token's MAC names the session")
	_, err = s.revoke(ctx, refreshtoken.RevokedReasonLogout, refreshtoken.ID(t.session))
	return err
}

// refreshOutcome returns the outcome of a refresh. Again means that it returned the same successor.
func refreshOutcome(again bool, err error) string {
	switch {
	case err == nil && again:
		return outcomes.Grace
	case err == nil:
		return outcomes.Rotated
	case errors.Is(err, errReuse):
		return outcomes.Reuse
	case errors.Is(err, errSessionOver):
		return outcomes.Refused
	default:
		return outcomes.Failed
	}
}
