package auth

import (
	"log/slog"
	"time"

	"tenantry/internal/keyring"
	"tenantry/internal/password"
	"tenantry/internal/ratelimit"
	"tenantry/internal/sessions"
)

// Options are the rules and the dependencies of sign-in.
type Options struct {
	// Keyring derives the keys of device tokens.
	Keyring keyring.Keyring
	Hasher  *password.Hasher
	// Limiter counts attempts to sign in and registrations.
	Limiter *ratelimit.Limiter
	// Sessions starts the session of a sign-in.
	Sessions *sessions.Sessions
	// DefaultTenant is the slug of the tenant of requests that name none.
	DefaultTenant string

	Clock func() time.Time
	Log   *slog.Logger
}
