package config

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
)

// maxAccessTokenTTL bounds how long a stolen access token is valid (ASVS 9.2.1).
const maxAccessTokenTTL = 15 * time.Minute

// minKeyRotation allows verifiers a second to cache the key set, and instances a second to agree
// on it.
const minKeyRotation = 2 * time.Second

// maxPool is more connections than any Postgres accepts.
const maxPool = 10_000

// maxPerNetwork keeps at least a millisecond between two requests of a network that has spent its
// limit.
const maxPerNetwork = 100_000

// maxSessions bounds the rows that a sign-in counts.
const maxSessions = 10_000

// slug is the form of a tenant's slug.
var slug = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,61}[a-z0-9]$`)

// minSecretBytes is the minimum length of a secret: the size of the keys derived from it.
const minSecretBytes = 32

// examples are parts of secrets that appear in public documentation.
var examples = []string{"change-me", "changeme", "example", "your-secret", "your_secret", "secret-key", "replace-me",
	"0123456789abcdef0123456789abcdef"}

// mistakes validates the values.
func (c *Config) mistakes() []mistake {
	var mistakes []mistake
	wrong := func(when bool, name, format string, args ...any) {
		if when {
			mistakes = append(mistakes, mistake{name, fmt.Errorf(format, args...)})
		}
	}
	check := func(name string, err error) { wrong(err != nil, name, "%w", err) }
	c.checkAddresses(check)
	wrong(!(c.OTLPSample >= 0 && c.OTLPSample <= 1), "OTLP_SAMPLE", "must be from 0 to 1")
	wrong(c.DatabaseURL != "" && !strings.HasPrefix(c.DatabaseURL, "postgres://") &&
		!strings.HasPrefix(c.DatabaseURL, "postgresql://"),
		"DATABASE_URL", "is not of the form postgres://user:password@host:port/database")
	wrong(c.CacheMemory < 0 || c.CacheMemory > 1<<20, "CACHE_MEMORY", "must be from 0 to 1048576")
	wrong(c.RedisURL != "" && !strings.HasPrefix(c.RedisURL, "redis://") && !strings.HasPrefix(c.RedisURL, "rediss://"),
		"REDIS_URL", "is not of the form redis://user:password@host:port/number")
	check("DEFAULT_TENANT", checkSlug(c.DefaultTenant))
	wrong(c.ProxyHeader != "X-Forwarded-For" && c.ProxyHeader != "Forwarded", "PROXY_HEADER",
		"%q is not X-Forwarded-For or Forwarded", c.ProxyHeader)
	wrong(c.LogFormat != "" && c.LogFormat != "text" && c.LogFormat != "json", "LOG_FORMAT", "%q is not text or json",
		c.LogFormat)
	wrong(c.DBPoolSize < 1 || c.DBPoolSize > maxPool, "DB_POOL_SIZE", "must be from 1 to %d", maxPool)
	wrong(c.DBMaxOverflow < 0 || c.DBMaxOverflow > maxPool, "DB_MAX_OVERFLOW", "must be from 0 to %d", maxPool)
	wrong(c.AccessTokenTTL < time.Second || c.AccessTokenTTL > maxAccessTokenTTL, "ACCESS_TOKEN_TTL",
		"must be from 1s to %s", maxAccessTokenTTL)
	wrong(c.RefreshIdleTTL < c.AccessTokenTTL, "REFRESH_IDLE_TTL",
		"must not be shorter than the access token's lifetime")
	wrong(c.RefreshTokenTTL < c.RefreshIdleTTL, "REFRESH_TOKEN_TTL", "must not be shorter than the idle lifetime")
	wrong(c.RefreshGrace < 0 || c.RefreshGrace > time.Minute, "REFRESH_GRACE", "must be from 0s to 1m")
	wrong(c.SessionsPerUser < 1 || c.SessionsPerUser > maxSessions, "SESSIONS_PER_USER", "must be from 1 to %d",
		maxSessions)
	wrong(!slices.Contains([]string{"ES256", "EdDSA", "RS256"}, c.JWTAlgorithm), "JWT_ALGORITHM",
		"%q is not ES256, EdDSA or RS256", c.JWTAlgorithm)
	wrong(c.SignInAccountAttempts < 2, "SIGN_IN_ACCOUNT_ATTEMPTS", "must be at least 2")
	wrong(c.SignInAddressAttempts < 2, "SIGN_IN_ADDRESS_ATTEMPTS", "must be at least 2")
	wrong(c.NetworkFlows < 0 || c.NetworkFlows > maxPerNetwork, "NETWORK_FLOWS", "must be from 0 to %d", maxPerNetwork)
	wrong(c.NetworkRegistrations < 0 || c.NetworkRegistrations > maxPerNetwork, "NETWORK_REGISTRATIONS",
		"must be from 0 to %d", maxPerNetwork)
	wrong(c.PasswordHashMemory < 19456 || c.PasswordHashMemory > 262144, "PASSWORD_HASH_MEMORY",
		"must be from 19456 to 262144")
	wrong(c.PasswordHashTime < 2 || c.PasswordHashTime > 16, "PASSWORD_HASH_TIME", "must be from 2 to 16")
	wrong(c.PasswordHashConcurrency < 0, "PASSWORD_HASH_CONCURRENCY", "must be at least 1")
	wrong(c.Signup != SignupOpen && c.Signup != "closed", "SIGNUP", "%q is not open or closed", c.Signup)
	wrong(c.KeyRotation < minKeyRotation, "KEY_ROTATION", "must be at least %s", minKeyRotation)
	if c.SecretPrevious != "" {
		err := CheckSecret(c.SecretPrevious)
		wrong(err != nil, "SECRET_PREVIOUS", "%w", err)
	}
	if c.Secret != "" {
		if err := CheckSecret(c.Secret); err != nil {
			wrong(true, "SECRET", "%w", err)
		}
	}
	return mistakes
}

// checkAddresses validates the settings that contain an address, a URL, an origin or a network.
func (c *Config) checkAddresses(check func(name string, err error)) {
	check("LISTEN", checkListen(c.Listen))
	if c.OperationsListen != "" {
		check("OPERATIONS_LISTEN", checkListen(c.OperationsListen))
	}
	if c.PublicURL != "" {
		check("PUBLIC_URL", checkPublicURL(c.PublicURL))
	} else if strings.Contains(c.Listen, "%") {
		check("PUBLIC_URL", errors.New("is required: no client can use the zone of the listen address"))
	}
	if c.OTLPEndpoint != "" {
		check("OTLP_ENDPOINT", checkCollector(c.OTLPEndpoint))
	}
	for _, origin := range c.CORSOrigins {
		check("CORS_ORIGINS", checkOrigin(origin))
	}
	if len(c.TrustedProxies) > 0 {
		check("TRUSTED_PROXIES", checkNetworks(joined(c.TrustedProxies)))
	}
	if len(c.OutboundNetworks) > 0 {
		check("OUTBOUND_NETWORKS", checkNetworks(joined(c.OutboundNetworks)))
	}
}

// checkSlug refuses a text that cannot be a tenant's slug.
func checkSlug(text string) error {
	if slug.MatchString(text) {
		return nil
	}
	if lower := strings.ToLower(text); slug.MatchString(lower) {
		return fmt.Errorf("%q is not a slug: write %s", text, lower)
	}
	return fmt.Errorf("%q is not a slug: 2 to 63 lower-case letters, digits and hyphens", text)
}

// noSecret returns the mistake of a Postgres server without a secret: a generated one would not be
// shared by its instances.
func (c *Config) noSecret() []mistake {
	if c.DatabaseURL == "" || c.Secret != "" {
		return nil
	}
	return []mistake{{"SECRET", errors.New("is required with Postgres: every instance needs the same one")}}
}

// CheckSecret refuses a secret that is short or publicly known. The error does not contain it.
func CheckSecret(secret string) error {
	if len(secret) < minSecretBytes {
		return fmt.Errorf("has %d bytes and needs at least %d: generate one with `openssl rand -base64 48`",
			len(secret), minSecretBytes)
	}
	lower := strings.ToLower(secret)
	for _, example := range examples {
		if strings.Contains(lower, example) {
			return errors.New("is a publicly known example: generate one with `openssl rand -base64 48`")
		}
	}
	if len(strings.Trim(lower, lower[:1])) == 0 {
		return errors.New("repeats one character: generate one with `openssl rand -base64 48`")
	}
	return nil
}
