package server

import (
	"context"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"time"

	"entgo.io/ent/dialect"

	"tenantry/internal/cache"
	"tenantry/internal/config"
	"tenantry/internal/database"
	"tenantry/internal/keyring"
	"tenantry/internal/oauth"
	"tenantry/internal/password"
	"tenantry/internal/ratelimit"
	"tenantry/internal/sessions"
	"tenantry/internal/signing"
)

// publicPath returns the path of the public URL, or "".
func publicPath(cfg config.Config) string {
	public, err := url.Parse(cfg.PublicURL)
	if err != nil {
		return ""
	}
	return strings.TrimRight(public.EscapedPath(), "/")
}

// hsts returns the value of Strict-Transport-Security, or "" if the public URL is not https (RFC
// 6797 §7.2). Subdomains may belong to other organisations, so that they are included only if the
// operator configures it.
func hsts(cfg config.Config) string {
	value := "max-age=63072000"
	switch {
	case !strings.HasPrefix(cfg.PublicURL, "https://"):
		return ""
	case cfg.HSTSSubdomains:
		return value + "; includeSubDomains"
	default:
		return value
	}
}

// share connects the cache to Redis, which the instances of one database share. SQLite has one
// instance.
func share(ctx context.Context, cfg config.Config, opts sessions.Options, db *database.DB) error {
	if cfg.RedisURL == "" {
		return nil
	}
	if db.Dialect() == dialect.SQLite {
		opts.Log.WarnContext(ctx, "TENANTRY_REDIS_URL is ignored: SQLite has one instance, which needs no shared cache")
		return nil
	}
	seal, scope, err := opts.Keyring.Sharing()
	if err != nil {
		return fmt.Errorf("derive the key of the shared cache: %w", err)
	}
	return opts.Cache.Share(cache.Sharing{
		URL: cfg.RedisURL, Scope: scope, Seal: seal.Seal, Log: opts.Log,
		Open: func(sealed []byte, name string) ([]byte, error) {
			plain, _, err := seal.Open(sealed, name)
			return plain, err
		},
	})
}

// serverKeyring returns the keyring of a configuration's secrets.
func serverKeyring(cfg config.Config) keyring.Keyring {
	return keyring.New([]byte(cfg.Secret), []byte(cfg.SecretPrevious))
}

// sessionOptions returns the session options of a configuration.
func sessionOptions(cfg config.Config, clock func() time.Time, log *slog.Logger) sessions.Options {
	return sessions.Options{
		Keyring: serverKeyring(cfg), Issuer: cfg.PublicURL,
		Lifetimes: sessions.Lifetimes{AccessToken: cfg.AccessTokenTTL, RefreshToken: cfg.RefreshTokenTTL,
			RefreshIdle: cfg.RefreshIdleTTL},
		RefreshGrace: cfg.RefreshGrace, PerUser: cfg.SessionsPerUser,
		Clock: clock, Log: log,
	}
}

// SigningOptions returns the signing key options of a configuration.
func SigningOptions(cfg config.Config, clock func() time.Time) signing.Options {
	return signing.Options{
		Keyring: serverKeyring(cfg), Algorithm: cfg.JWTAlgorithm, Rotation: cfg.KeyRotation, Clock: clock,
	}
}

// limits returns the rate limits of a configuration.
func limits(cfg config.Config, keys keyring.Keyring, clock func() time.Time) ratelimit.Options {
	return ratelimit.Options{
		Keyring: keys, AccountAttempts: cfg.SignInAccountAttempts, AddressAttempts: cfg.SignInAddressAttempts,
		NetworkFlows: cfg.NetworkFlows, NetworkRegistrations: cfg.NetworkRegistrations, Clock: clock,
	}
}

// serverProviders returns the OAuth providers of a configuration, which every tenant may use.
func serverProviders(cfg config.Config) []oauth.Provider {
	var providers []oauth.Provider
	for _, p := range cfg.OAuthProviders {
		providers = append(providers, oauth.Provider{
			Name: p.Name, Kind: oauth.Kind(p.Kind), Label: p.Label, ClientID: p.ClientID, ClientSecret: p.ClientSecret,
			Scopes: p.Scopes, Issuer: p.Issuer,
			Endpoints: oauth.Endpoints{Authorization: p.AuthorizationEndpoint, Token: p.TokenEndpoint,
				Userinfo: p.UserinfoEndpoint},
		})
	}
	return providers
}

// NewHasher returns the password hasher of a configuration.
func NewHasher(cfg config.Config) *password.Hasher {
	return password.NewHasher(password.HashOptions{
		Concurrency: cfg.PasswordHashConcurrency, MemoryKiB: cfg.PasswordHashMemory, Time: cfg.PasswordHashTime,
	})
}

// Clock returns the time in UTC.
func Clock() time.Time { return time.Now().UTC() }

// DatabaseOptions returns the database options of a configuration.
func DatabaseOptions(cfg config.Config) database.Options {
	return database.Options{
		URL: cfg.DatabaseURL, DataDir: cfg.DataDir, PoolSize: cfg.DBPoolSize,
		MaxOverflow: cfg.DBMaxOverflow, PoolDefault: cfg.DBPoolDefault, Prepared: cfg.DBPrepared,
	}
}
