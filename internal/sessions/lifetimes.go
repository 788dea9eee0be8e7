package sessions

import (
	"time"

	"tenantry/ent/schema/settings"
)

// Lifetimes are the lifetimes of sessions and tokens.
type Lifetimes struct {
	AccessToken time.Duration
	// RefreshToken is the longest that a session lasts, RefreshIdle the longest that it lasts
	// without being refreshed.
	RefreshToken, RefreshIdle time.Duration
}

// In returns the lifetimes of a tenant: its own where they are shorter than the server's.
func (l Lifetimes) In(tenant settings.Tenant) Lifetimes {
	shorter := func(server time.Duration, seconds int) time.Duration {
		if own := time.Duration(seconds) * time.Second; own > 0 {
			return min(server, own)
		}
		return server
	}
	return Lifetimes{
		AccessToken:  shorter(l.AccessToken, tenant.AccessTokenTTL),
		RefreshToken: shorter(l.RefreshToken, tenant.RefreshTokenTTL),
		RefreshIdle:  shorter(l.RefreshIdle, tenant.RefreshIdleTTL),
	}
}
