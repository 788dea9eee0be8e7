package auth

import (
	"log/slog"
	"time"

	"tenantry/internal/cache"
	"tenantry/internal/keyring"
	"tenantry/internal/ratelimit"
)

// Options are the rules of sign-in.
type Options struct {
	// Keyring derives the keys of what is signed and sealed.
	Keyring keyring.Keyring
	// Issuer is the URL that access tokens are issued by and for.
	Issuer string
	// DefaultTenant is the slug of the tenant that is meant when a request names none.
	DefaultTenant string

	// Lifetimes are the longest; a tenant may have shorter ones.
	Lifetimes    Lifetimes
	RefreshGrace time.Duration
	// SessionsPerUser is how many live sessions a user may have: a sign-in ends the least recently
	// refreshed ones beyond that. At least 1.
	SessionsPerUser int

	// Limiter counts attempts to sign in and registrations.
	Limiter *ratelimit.Limiter
	// Cache remembers who has signed in.
	Cache *cache.Cache
	Clock func() time.Time
	Log   *slog.Logger
}
