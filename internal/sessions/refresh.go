package sessions

import (
	"context"
	"errors"

	"tenantry/ent/refreshtoken"
	"tenantry/internal/outcomes"
	"tenantry/internal/principal"
)

// Refresh exchanges a refresh token for its successor and a new access token. User and tenant are checked again.
func (a *Sessions) Refresh(ctx context.Context, presented string) (*Tokens, error) {
	tokens, again, err := a.exchange(ctx, presented)
	a.refreshes.Count(refreshOutcome(again, err))
	return tokens, err
}

// exchange says as well whether the successor had been given before.
func (a *Sessions) exchange(ctx context.Context, presented string) (tokens *Tokens, again bool, err error) {
	t, err := a.refresh.decode(presented)
	if err != nil {
		return nil, false, errSessionOver
	}
	// The token proves the session, whatever its tenant: this server wrote it.
	ctx = principal.System(ctx, "refresh: the token's MAC names the session")
	user, err := a.ofSession(ctx, t.session)
	if err != nil {
		return nil, false, err
	}
	if user != nil {
		principal.Identify(ctx, user.TenantID, user.ID)
	}
	if user == nil || !user.Live() {
		return nil, false, errSessionOver
	}
	// The last statement: who hears of an outage must find the token as it was.
	next, again, err := a.rotate(ctx, t, a.opts.Lifetimes.In(user.TenantSettings).RefreshIdle)
	if err != nil {
		return nil, false, err
	}
	tokens, err = a.tokens(user, next, user.SessionEnds)
	return tokens, again, err
}

// Logout ends the session of a refresh token. A token that is unknown or dead is no error (RFC 7009 §2.2).
func (a *Sessions) Logout(ctx context.Context, presented string) error {
	t, err := a.refresh.decode(presented)
	if err != nil {
		return nil //nolint:nilerr // nothing to end
	}
	ctx = principal.System(ctx, "sign-out: the token's MAC names the session")
	_, err = a.revoke(ctx, refreshtoken.RevokedReasonLogout, refreshtoken.ID(t.session))
	return err
}

// refreshOutcome is how a refresh has ended, again if its successor had been given before.
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
