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
	// refreshes counts how refreshes end.
	refreshes outcomes.Counters
}

// Options are the rules of sessions.
type Options struct {
	// Keyring derives the keys of refresh tokens.
	Keyring keyring.Keyring
	// Issuer is the URL that access tokens are issued by and for.
	Issuer string

	// Lifetimes are the longest; a tenant may have shorter ones.
	Lifetimes    Lifetimes
	RefreshGrace time.Duration
	// PerUser is how many live sessions a user may have: a sign-in ends the least recently
	// refreshed ones beyond that. At least 1.
	PerUser int

	// Cache remembers who has signed in.
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
		client: client, access: newAccessTokens(keys, opts), refresh: refreshTokens{refresh}, batches: newSessionBatches(client, opts.Clock),
		opts:      opts,
		refreshes: outcomes.NewCounters(outcomes.Rotated, outcomes.Grace, outcomes.Refused, outcomes.Reuse, outcomes.Failed),
	}, nil
}

// Refreshes returns how refreshes have ended so far.
func (a *Sessions) Refreshes() outcomes.Counters { return a.refreshes }

// Verifications returns how many access tokens were verified so far.
func (a *Sessions) Verifications() int64 { return a.access.verified.Load() }

// Tokens are the answer to every way of signing in.
type Tokens struct {
	Session   uuid.UUID
	Access    string
	ExpiresIn time.Duration
	Refresh   string
	// Device is the token of the device, where a password was given.
	Device string
	User   *Projection
}

// Origin is where a sign-in came from.
type Origin struct{ IP, UserAgent string }

// errInvalidToken is the answer to an access token that is not valid, or not any more.
var errInvalidToken = problem.Unauthorized("invalid_token", "The access token is not valid.")

// ErrCredentials is the answer to everybody who may not sign in, whatever the reason (ASVS 6.3.8).
var ErrCredentials = problem.Unauthorized("invalid_credentials", "The tenant, e-mail address or password is not right.")
