package auth

import (
	"encoding/hex"
	"log/slog"
	"time"

	"tenantry/internal/cache"
)

// Options are the rules of sign-in.
type Options struct {
	// Secret is what every key is derived from, at least 32 bytes. What was made under PreviousSecret, if there is one, is
	// accepted as well.
	Secret, PreviousSecret []byte
	// Issuer is the URL that access tokens are issued by and for.
	Issuer string
	// Algorithm signs access tokens: ES256, EdDSA or RS256.
	Algorithm string
	// KeyRotation is how long a key signs. At least 2 seconds.
	KeyRotation time.Duration
	// DefaultTenant is the slug of the tenant that is meant when a request names none.
	DefaultTenant string

	// Lifetimes are the longest; a tenant may have shorter ones.
	Lifetimes    Lifetimes
	RefreshGrace time.Duration
	// SessionsPerUser is how many live sessions a user may have: a sign-in ends the least recently
	// refreshed ones beyond that. At least 1.
	SessionsPerUser int

	// AccountAttempts and AddressAttempts are how many attempts to sign in may fail before the next has to wait. At least 2.
	AccountAttempts, AddressAttempts int

	// NetworkFlows and NetworkRegistrations are how many sign-ins at providers a client network may
	// begin in ten minutes, and how many accounts and tenants it may make in an hour; 0 is no limit.
	NetworkFlows, NetworkRegistrations int

	// Cache remembers who has signed in.
	Cache *cache.Cache
	Clock func() time.Time
	Log   *slog.Logger
}

func (o Options) secrets() [][]byte {
	if len(o.PreviousSecret) == 0 {
		return [][]byte{o.Secret}
	}
	return [][]byte{o.Secret, o.PreviousSecret}
}

// CursorKeys returns the keys of the cursors of lists, the one to use first.
func (o Options) CursorKeys() ([][]byte, error) { return derive(o.secrets(), purposeCursor) }

// Sharing is how instances that have the secret share what they remember, in the Redis server of a URL. Nobody else can read or make it.
func (o Options) Sharing(url string) (cache.Sharing, error) {
	seal, err := newSealer([][]byte{o.Secret}, purposeShared)
	if err != nil {
		return cache.Sharing{}, err
	}
	scope, err := derive([][]byte{o.Secret}, purposeSharedScope)
	if err != nil {
		return cache.Sharing{}, err
	}
	return cache.Sharing{
		URL: url, Scope: "tenantry:" + hex.EncodeToString(scope[0][:8]), Seal: seal.Seal, Log: o.Log,
		Open: func(sealed []byte, name string) ([]byte, error) {
			plain, _, err := seal.Open(sealed, name)
			return plain, err
		},
	}, nil
}

// ClientSecretSealer seals the secrets by which providers know the clients of tenants.
func (o Options) ClientSecretSealer() (*Sealer, error) {
	return newSealer(o.secrets(), purposeClientSecret)
}
