package server

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"entgo.io/ent/dialect"
	"entgo.io/ent/dialect/sql/sqlgraph"
	"github.com/gin-gonic/gin"
	"go.opentelemetry.io/otel/trace"

	"tenantry/internal/api"
	"tenantry/internal/auth"
	"tenantry/internal/cache"
	"tenantry/internal/config"
	"tenantry/internal/database"
	"tenantry/internal/httpapi"
	"tenantry/internal/keyring"
	"tenantry/internal/oauth"
	"tenantry/internal/page"
	"tenantry/internal/password"
	"tenantry/internal/ratelimit"
	"tenantry/internal/roles"
	"tenantry/internal/sessions"
	"tenantry/internal/signing"
	"tenantry/internal/tenants"
	"tenantry/internal/users"
)

// Server answers the requests of one instance.
type Server struct {
	Handler http.Handler
	// Operations is for operators alone, on a listener of their own.
	Operations http.Handler
	Auth       *auth.Auth
	Sessions   *sessions.Sessions
	Limiter    *ratelimit.Limiter
	OAuth      *oauth.OAuth
	Cache      *cache.Cache

	db       *database.DB
	metrics  *metrics
	keys     *signing.Keys
	clock    func() time.Time
	log      *slog.Logger
	draining atomic.Bool
}

// handlers are every operation of the contract; a feature that misses one does not compile.
type handlers struct {
	signingHTTP
	sessionsHTTP
	authHTTP
	rolesHTTP
	usersHTTP
	tenantsHTTP
	oauthHTTP
	health
}

// Embedded fields are named after their types, and some of them are called HTTP.
type (
	signingHTTP  = signing.HTTP
	sessionsHTTP = sessions.HTTP
	authHTTP     = auth.HTTP
	rolesHTTP    = roles.HTTP
	usersHTTP    = users.HTTP
	tenantsHTTP  = tenants.HTTP
	oauthHTTP    = oauth.HTTP
)

// Parts are what a server is made of.
type Parts struct {
	// Config has a secret: see WithSecret.
	Config config.Config
	// DB is open and migrated.
	DB     *database.DB
	Hasher *password.Hasher
	// Clock tells the time, in UTC.
	Clock func() time.Time
	Log   *slog.Logger
	// Tracer makes spans of requests. Without one there are none.
	Tracer trace.Tracer
}

// New wires a server.
func New(ctx context.Context, parts Parts) (*Server, error) {
	cfg, db, log := parts.Config, parts.DB, parts.Log
	opts := sessionOptions(cfg, parts.Clock, log)
	opts.Cache = cache.New(cfg.CacheMemory << 10)
	db.ReportWrites(opts.Cache)
	if err := share(ctx, cfg, opts, db); err != nil {
		return nil, err
	}
	access, err := newAccess(ctx, parts, opts)
	if err != nil {
		return nil, err
	}
	signIn, signedIn, limiter := access.signIn, access.sessions, access.limiter
	cursorKeys, err := opts.Keyring.Keys(keyring.Cursor)
	if err != nil {
		return nil, fmt.Errorf("derive the keys of cursors: %w", err)
	}
	cursors := page.NewCursors(cursorKeys)
	seal, err := opts.Keyring.Sealer(keyring.ClientSecret)
	if err != nil {
		return nil, fmt.Errorf("derive the key of client secrets: %w", err)
	}
	providers, err := oauth.New(db.Client, oauth.Options{
		Auth: signIn, Sessions: signedIn, Limiter: limiter, Sealer: seal, Providers: serverProviders(cfg),
		Rules:         oauth.Rules{Networks: cfg.OutboundNetworks},
		DefaultTenant: cfg.DefaultTenant, PublicURL: cfg.PublicURL, Dialect: db.Dialect(), Cache: opts.Cache,
		Clock: parts.Clock, Log: log,
	})
	if err != nil {
		return nil, err
	}
	contract, err := api.Contract()
	if err != nil {
		return nil, err
	}
	figures := newMetrics(db, opts.Cache, parts.Hasher, signIn, signedIn, providers)
	s := &Server{Auth: signIn, OAuth: providers, Cache: opts.Cache, Sessions: signedIn, Limiter: limiter,
		Operations: figures.handler(), metrics: figures, db: db, keys: access.keys, clock: parts.Clock, log: log}
	gin.SetMode(gin.ReleaseMode)
	router, err := httpapi.NewRouter(contract, handlers{
		signing.HTTP{Keys: access.keys},
		sessions.HTTP{Sessions: signedIn},
		auth.HTTP{Auth: signIn},
		roles.HTTP{Roles: roles.New(db.Client)},
		users.HTTP{
			Users: users.New(db.Client, parts.Hasher, signedIn, cursors), Identities: oauth.HTTP{OAuth: providers}.OfUser,
		},
		tenants.HTTP{Tenants: tenants.New(db.Client, tenants.Options{
			Hasher: parts.Hasher, Auth: signIn, Limiter: limiter, Cursors: cursors, Lifetimes: opts.Lifetimes,
			Signup: cfg.Signup == config.SignupOpen,
		})},
		oauth.HTTP{OAuth: providers},
		health{db: db, draining: &s.draining},
	}, httpapi.Options{
		Log: log, Lines: jsonLines(log), CORSOrigins: cfg.CORSOrigins, TrustedProxies: cfg.TrustedProxies,
		ProxyHeader:  cfg.ProxyHeader,
		ServerTiming: cfg.ServerTiming, PublicPath: publicPath(cfg), HSTS: hsts(cfg), Tracer: parts.Tracer,
		Authenticate: signedIn.Authenticate, Authorize: signedIn.Authorize, ActIn: signedIn.ActIn,
		Observe: figures.observe, CountStatements: database.CountStatements, Unavailable: database.Unavailable,
		ReferenceDeleted: sqlgraph.IsForeignKeyConstraintError, OnInternalError: figures.unforeseen,
	})
	if err != nil {
		return nil, fmt.Errorf("build the router: %w", err)
	}
	if err := serveReference(router, contract, publicPath(cfg)); err != nil {
		return nil, err
	}
	s.Handler = router
	return s, nil
}

// access is how users sign in and stay signed in.
type access struct {
	keys     *signing.Keys
	limiter  *ratelimit.Limiter
	sessions *sessions.Sessions
	signIn   *auth.Auth
}

func newAccess(ctx context.Context, parts Parts, opts sessions.Options) (a access, err error) {
	cfg, client := parts.Config, parts.DB.Client
	if a.keys, err = signing.Open(ctx, client, SigningOptions(cfg, parts.Clock)); err != nil {
		return a, err
	}
	if a.limiter, err = ratelimit.New(client, limits(cfg, opts.Keyring, parts.Clock)); err != nil {
		return a, err
	}
	if a.sessions, err = sessions.New(client, a.keys, opts); err != nil {
		return a, err
	}
	a.signIn, err = auth.New(client, auth.Options{
		Keyring: opts.Keyring, Hasher: parts.Hasher, Limiter: a.limiter, Sessions: a.sessions,
		DefaultTenant: cfg.DefaultTenant, Clock: parts.Clock, Log: parts.Log,
	})
	return a, err
}

// publicPath returns the path of the public URL, "" if it has none.
func publicPath(cfg config.Config) string {
	public, err := url.Parse(cfg.PublicURL)
	if err != nil {
		return ""
	}
	return strings.TrimRight(public.EscapedPath(), "/")
}

// hsts returns the value of Strict-Transport-Security, "" where the public URL is not https (RFC
// 6797 §7.2). Subdomains may be other people's, so that they are included only if the operator says
// so.
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

// share lets the instances of one database share what they remember. SQLite has one.
func share(ctx context.Context, cfg config.Config, opts sessions.Options, db *database.DB) error {
	if cfg.RedisURL == "" {
		return nil
	}
	if db.Dialect() == dialect.SQLite {
		opts.Log.WarnContext(ctx, "TENANTRY_REDIS_URL is not used: SQLite has one instance, which shares with nobody")
		return nil
	}
	seal, scope, err := opts.Keyring.Sharing()
	if err != nil {
		return fmt.Errorf("derive the key of what is shared: %w", err)
	}
	return opts.Cache.Share(cache.Sharing{
		URL: cfg.RedisURL, Scope: scope, Seal: seal.Seal, Log: opts.Log,
		Open: func(sealed []byte, name string) ([]byte, error) {
			plain, _, err := seal.Open(sealed, name)
			return plain, err
		},
	})
}

// serverKeyring returns the keyring of the secrets of a configuration.
func serverKeyring(cfg config.Config) keyring.Keyring {
	return keyring.New([]byte(cfg.Secret), []byte(cfg.SecretPrevious))
}

// sessionOptions are the rules of sessions of a configuration.
func sessionOptions(cfg config.Config, clock func() time.Time, log *slog.Logger) sessions.Options {
	return sessions.Options{
		Keyring: serverKeyring(cfg), Issuer: cfg.PublicURL,
		Lifetimes: sessions.Lifetimes{AccessToken: cfg.AccessTokenTTL, RefreshToken: cfg.RefreshTokenTTL,
			RefreshIdle: cfg.RefreshIdleTTL},
		RefreshGrace: cfg.RefreshGrace, PerUser: cfg.SessionsPerUser,
		Clock: clock, Log: log,
	}
}

// SigningOptions are the rules of signing keys of a configuration.
func SigningOptions(cfg config.Config, clock func() time.Time) signing.Options {
	return signing.Options{
		Keyring: serverKeyring(cfg), Algorithm: cfg.JWTAlgorithm, Rotation: cfg.KeyRotation, Clock: clock,
	}
}

// limits are how many attempts a configuration allows.
func limits(cfg config.Config, keys keyring.Keyring, clock func() time.Time) ratelimit.Options {
	return ratelimit.Options{
		Keyring: keys, AccountAttempts: cfg.SignInAccountAttempts, AddressAttempts: cfg.SignInAddressAttempts,
		NetworkFlows: cfg.NetworkFlows, NetworkRegistrations: cfg.NetworkRegistrations, Clock: clock,
	}
}

// serverProviders are the providers that a configuration offers to every tenant.
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

// NewHasher returns the hasher of a configuration.
func NewHasher(cfg config.Config) *password.Hasher {
	return password.NewHasher(password.HashOptions{
		Concurrency: cfg.PasswordHashConcurrency, MemoryKiB: cfg.PasswordHashMemory, Time: cfg.PasswordHashTime,
	})
}

// Clock tells the time, in UTC.
func Clock() time.Time { return time.Now().UTC() }
