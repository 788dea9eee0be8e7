package auth

import (
	"log/slog"
	"time"

	"tenantry/internal/keyring"
	"tenantry/internal/password"
	"tenantry/internal/ratelimit"
	"tenantry/internal/sessions"
)

// Options are the rules of sign-in, and what it needs.
type Options struct {
	// Keyring derives the keys of device tokens.
	Keyring keyring.Keyring
	Hasher  *password.Hasher
	// Limiter counts attempts to sign in and registrations.
	Limiter *ratelimit.Limiter
	// Sessions starts the session of a sign-in.
	Sessions *sessions.Sessions
	// DefaultTenant is the slug of the tenant that is meant when a request names none.
	DefaultTenant string

	Clock func() time.Time
	Log   *slog.Logger
}
