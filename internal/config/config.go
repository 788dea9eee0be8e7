package config

import (
	"log/slog"
	"net/netip"
	"runtime"
	"time"

	"tenantry/internal/weburl"
)

// Config is the configuration of a server. A field's env tag is its name; its flag is the name in
// lower case without the prefix. Fields tagged secret have no flag, since every user of the machine
// can read command lines. The group names the commands beside `serve` that use a field.
type Config struct {
	Listen           string         `env:"LISTEN" group:"listener" envDefault:"127.0.0.1:8080" help:"address to listen on"`
	PublicURL        string         `env:"PUBLIC_URL" help:"URL under which clients reach the server; issuer and audience of its tokens (default: http:// and the listen address)"`
	DatabaseURL      string         `env:"DATABASE_URL" group:"database" help:"postgres://… URL (default: SQLite in the data folder)" file:"true"`
	DataDir          string         `env:"DATA_DIR" group:"database" envDefault:"./data" help:"folder of the SQLite database and its secret"`
	Secret           string         `env:"SECRET" group:"keys" help:"at least 32 bytes; keys are derived from it (default for SQLite: created in the data folder)" file:"true" secret:"true"`
	SecretPrevious   string         `env:"SECRET_PREVIOUS" group:"keys" help:"previous or next secret, accepted while you change the secret" file:"true" secret:"true"`
	LogLevel         slog.Level     `env:"LOG_LEVEL" group:"database" envDefault:"info" help:"debug, info, warn or error"`
	LogFormat        string         `env:"LOG_FORMAT" group:"database" help:"text or json (default: text on a terminal, else json)"`
	CORSOrigins      []string       `env:"CORS_ORIGINS" help:"allowed CORS origins, comma-separated"`
	TrustedProxies   []netip.Prefix `env:"TRUSTED_PROXIES" help:"networks of the proxies whose client address header is trusted"`
	ProxyHeader      string         `env:"PROXY_HEADER" envDefault:"X-Forwarded-For" help:"header with the client address from trusted proxies: X-Forwarded-For or Forwarded (RFC 7239)"`
	HSTSSubdomains   bool           `env:"HSTS_SUBDOMAINS" envDefault:"false" help:"add includeSubDomains to Strict-Transport-Security, which is sent if the public URL is https"`
	OperationsListen string         `env:"OPERATIONS_LISTEN" help:"address of /metrics and /debug/pprof, for operators only: do not expose it to the public (default: none)"`
	OTLPEndpoint     string         `env:"OTLP_ENDPOINT" help:"URL of an OpenTelemetry collector that receives traces over OTLP/HTTP (default: none)"`
	OTLPSample       float64        `env:"OTLP_SAMPLE" envDefault:"1" help:"sampling ratio, from 0 to 1; an incoming traceparent takes precedence"`
	ServerTiming     bool           `env:"SERVER_TIMING" envDefault:"false" help:"send the number of SQL statements to clients in the header Server-Timing"`
	Migrate          bool           `env:"MIGRATE" envDefault:"false" help:"apply pending migrations at start (SQLite always does)"`

	CacheMemory   int    `env:"CACHE_MEMORY" envDefault:"16384" help:"in-process session cache size in KiB; 0 disables it"`
	RedisURL      string `env:"REDIS_URL" help:"redis://… or rediss://… URL: shared, encrypted session cache of instances on Postgres" file:"true"`
	NotifyURL     string `env:"NOTIFY_URL" help:"ignored: instances read changes from the database URL" file:"true"`
	DBPoolSize    int    `env:"DB_POOL_SIZE" group:"database" envDefault:"25" help:"Postgres connections"`
	DBMaxOverflow int    `env:"DB_MAX_OVERFLOW" group:"database" envDefault:"50" help:"further connections under load"`
	DBPrepared    bool   `env:"DB_PREPARED" group:"database" envDefault:"true" help:"prepared statements; set false for PgBouncer before 1.21 in transaction mode"`
	// DBPoolDefault reports that neither DBPoolSize nor DBMaxOverflow is set, so that the server
	// may lower them.
	DBPoolDefault bool `env:"-"`
	// PublicURLDefault reports that PublicURL is not set and was derived from Listen.
	PublicURLDefault bool `env:"-"`

	AccessTokenTTL  time.Duration `env:"ACCESS_TOKEN_TTL" group:"keys" envDefault:"15m" help:"lifetime of access tokens, at most 15m"`
	RefreshTokenTTL time.Duration `env:"REFRESH_TOKEN_TTL" envDefault:"720h" help:"lifetime of a session"`
	RefreshIdleTTL  time.Duration `env:"REFRESH_IDLE_TTL" envDefault:"168h" help:"a session without a refresh expires after this time"`
	RefreshGrace    time.Duration `env:"REFRESH_GRACE" envDefault:"10s" help:"reuse window: a used refresh token still returns the same new tokens; 0s disables it"`
	SessionsPerUser int           `env:"SESSIONS_PER_USER" envDefault:"100" help:"active sessions of a user; a further sign-in ends the least recently refreshed one"`
	JWTAlgorithm    string        `env:"JWT_ALGORITHM" group:"keys" envDefault:"ES256" help:"ES256, EdDSA or RS256"`
	KeyRotation     time.Duration `env:"KEY_ROTATION" group:"keys" envDefault:"720h" help:"how long a key signs before the next key replaces it"`

	SignInAccountAttempts int `env:"SIGN_IN_ACCOUNT_ATTEMPTS" envDefault:"10" help:"failed sign-ins of an account before the next one must wait"`
	SignInAddressAttempts int `env:"SIGN_IN_ADDRESS_ATTEMPTS" envDefault:"100" help:"failed sign-ins from a client network before the next one must wait"`
	NetworkFlows          int `env:"NETWORK_FLOWS" envDefault:"300" help:"sign-ins at OAuth providers that a client network may begin in ten minutes, half of them in one tenant; 0 disables the limit"`
	NetworkRegistrations  int `env:"NETWORK_REGISTRATIONS" envDefault:"60" help:"registrations and sign-ups that a client network may request in an hour, half of them in one tenant; 0 disables the limit"`

	PasswordHashConcurrency int `env:"PASSWORD_HASH_CONCURRENCY" group:"passwords" help:"password hashes computed at once (default: cores)"`
	PasswordHashMemory      int `env:"PASSWORD_HASH_MEMORY" group:"passwords" envDefault:"19456" help:"memory of a password hash in KiB (argon2id m)"`
	PasswordHashTime        int `env:"PASSWORD_HASH_TIME" group:"passwords" envDefault:"2" help:"passes of a password hash (argon2id t)"`

	// OAuthProviders are the providers of the server, available in every tenant.
	OAuthProviders []OAuthProvider `env:"-"`
	// OutboundNetworks has no OAUTH_ prefix: variables with it belong to a provider.
	OutboundNetworks []netip.Prefix `env:"OUTBOUND_NETWORKS" help:"private networks in which OAuth providers are allowed; with 127.0.0.0/8, providers on this machine may use plain http"`

	Signup            string `env:"SIGNUP" envDefault:"closed" help:"open or closed; open allows clients without a credential to create a tenant"`
	DefaultTenant     string `env:"DEFAULT_TENANT" group:"tenant" envDefault:"default" help:"slug of the tenant of requests that name no tenant"`
	BootstrapEmail    string `env:"BOOTSTRAP_EMAIL" help:"e-mail address of the first superuser, on an empty database (default: admin@tenantry.internal)"`
	BootstrapPassword string `env:"BOOTSTRAP_PASSWORD" help:"password of the first superuser (default: generated and printed once)" file:"true" secret:"true"`
}

// Group is a set of settings that a command uses.
type Group string

const (
	// Database is for commands that open the database: its settings and those of the log.
	Database Group = "database"
	// Tenant is for commands that act in a tenant.
	Tenant Group = "tenant"
	// Passwords is for commands that hash passwords.
	Passwords Group = "passwords"
	// Keys is for commands that open signing keys.
	Keys Group = "keys"
	// Listener is for commands that send requests to the server on the same machine.
	Listener Group = "listener"
)

// SignupOpen is the value of Signup that allows clients without a credential to create a tenant.
const SignupOpen = "open"

// derive fills in the defaults that depend on other values or on the machine.
func (c *Config) derive() {
	if c.PublicURL == "" {
		c.PublicURL, c.PublicURLDefault = weburl.Local(c.Listen), true
	}
	if c.PasswordHashConcurrency == 0 {
		c.PasswordHashConcurrency = runtime.GOMAXPROCS(0)
	}
}
