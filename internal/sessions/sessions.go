package sessions

import (
	"fmt"
	"log/slog"
	"time"

	"github.com/google/uuid"

	"tenantry/ent"
	"tenantry/internal/cache"
	"tenantry/internal/keyring"
	"tenantry/internal/outcomes"
	"tenantry/internal/problem"
	"tenantry/internal/signing"
)

// Sessions starts, refreshes and revokes sessions.
type Sessions struct {
	client  *ent.Client
	access  *accessTokens
	refresh refreshTokens
	batches *sessionBatches
	opts    Options
	// refreshes counts refreshes by outcome.
	refreshes outcomes.Counters
}

// Options are the rules of sessions.
type Options struct {
	// Keyring derives the keys of refresh tokens.
	Keyring keyring.Keyring
	// Issuer is the URL that access tokens are issued by and for.
	Issuer string

	// Lifetimes are the maximum; a tenant may set shorter ones.
	Lifetimes    Lifetimes
	RefreshGrace time.Duration
	// PerUser is how many live sessions a user may have: a sign-in ends the least recently
	// refreshed ones beyond that. At least 1.
	PerUser int

	// Cache holds the projections of authenticated sessions.
	Cache *cache.Cache
	Clock func() time.Time
	Log   *slog.Logger
}

// New returns the sessions of a database.
func New(client *ent.Client, keys *signing.Keys, opts Options) (*Sessions, error) {
	refresh, err := opts.Keyring.Keys(keyring.RefreshToken)
	if err != nil {
		return nil, fmt.Errorf("derive the keys of refresh tokens: %w", err)
	}
	return &Sessions{
		client: client, access: newAccessTokens(keys, opts), refresh: refreshTokens{refresh},
		batches: newSessionBatches(client, opts.Clock),
		opts:    opts,
		refreshes: outcomes.NewCounters(outcomes.Rotated, outcomes.Grace, outcomes.Refused, outcomes.Reuse,
			outcomes.Failed),
	}, nil
}

// Verifications returns how many access tokens were verified so far.
func (s *Sessions) Verifications() int64 { return s.access.verifications.Load() }

// Tokens is the result of every way to sign in.
type Tokens struct {
	Session   uuid.UUID
	Access    string
	ExpiresIn time.Duration
	Refresh   string
	// Device is the device token of a sign-in with a password, else "".
	Device string
	User   *Projection
}

// Origin is where a sign-in came from.
type Origin struct{ IP, UserAgent string }

// Authentication is how and when a user has proved who they are.
type Authentication struct {
	At time.Time
	// Methods are the authentication methods, as the claim amr names them (RFC 8176).
	Methods []string
	// Provider is the provider of the tenant that has identified the user.
	Provider Provider
	From     Origin
}

// errInvalidToken is the error of an access token that is invalid, expired or revoked.
var errInvalidToken = problem.Unauthorized("invalid_token", "The access token is not valid.")

// ErrCredentials is the error of every refused sign-in: it does not reveal the reason (ASVS 6.3.8).
var ErrCredentials = problem.Unauthorized("invalid_credentials", "The tenant, e-mail address or password is not right.")
