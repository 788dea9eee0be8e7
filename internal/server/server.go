package server

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

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

// Server serves the requests of one instance.
type Server struct {
	Handler http.Handler
	// Operations serves operators, on a listener of its own.
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

// handlers implement the operations of the contract. A missing operation does not compile.
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

// Embedded fields have the names of their types, several of which are called HTTP.
type (
	signingHTTP  = signing.HTTP
	sessionsHTTP = sessions.HTTP
	authHTTP     = auth.HTTP
	rolesHTTP    = roles.HTTP
	usersHTTP    = users.HTTP
	tenantsHTTP  = tenants.HTTP
	oauthHTTP    = oauth.HTTP
)

// Parts are the dependencies of a server.
type Parts struct {
	// Config must have a secret: see WithSecret.
	Config config.Config
	// DB is open and migrated.
	DB     *database.DB
	Hasher *password.Hasher
	// Clock returns the time in UTC.
	Clock func() time.Time
	Log   *slog.Logger
	// Tracer starts the spans of requests. It may be nil.
	Tracer trace.Tracer
}

// New builds a server.
func New(ctx context.Context, parts Parts) (*Server, error) {
	opts := sessionOptions(parts.Config, parts.Clock, parts.Log)
	opts.Cache = cache.New(parts.Config.CacheMemory << 10)
	parts.DB.ReportWrites(opts.Cache)
	if err := share(ctx, parts.Config, opts, parts.DB); err != nil {
		return nil, err
	}
	access, err := newAccess(ctx, parts, opts)
	if err != nil {
		return nil, err
	}
	providers, err := newProviders(parts, opts, access)
	if err != nil {
		return nil, err
	}
	m := newMetrics(parts.DB, opts.Cache, parts.Hasher, access.signIn, access.sessions, providers)
	s := &Server{
		Operations: m.handler(), Auth: access.signIn, Sessions: access.sessions, Limiter: access.limiter,
		OAuth: providers, Cache: opts.Cache,
		db: parts.DB, metrics: m, keys: access.keys, clock: parts.Clock, log: parts.Log,
	}
	if s.Handler, err = s.newRouter(parts, opts); err != nil {
		return nil, err
	}
	return s, nil
}

// access are the services with which users sign in and stay signed in.
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

// newProviders returns the sign-in at OAuth providers.
func newProviders(parts Parts, opts sessions.Options, access access) (*oauth.OAuth, error) {
	seal, err := opts.Keyring.Sealer(keyring.ClientSecret)
	if err != nil {
		return nil, fmt.Errorf("derive the key of client secrets: %w", err)
	}
	cfg := parts.Config
	return oauth.New(parts.DB.Client, oauth.Options{
		Auth: access.signIn, Sessions: access.sessions, Limiter: access.limiter, Sealer: seal,
		Providers: serverProviders(cfg), Rules: oauth.Rules{Networks: cfg.OutboundNetworks},
		DefaultTenant: cfg.DefaultTenant, PublicURL: cfg.PublicURL, Dialect: parts.DB.Dialect(),
		Cache: opts.Cache, Clock: parts.Clock, Log: parts.Log,
	})
}

// newHandlers returns the handlers of all operations.
func (s *Server) newHandlers(parts Parts, opts sessions.Options) (handlers, error) {
	keys, err := opts.Keyring.Keys(keyring.Cursor)
	if err != nil {
		return handlers{}, fmt.Errorf("derive the keys of cursors: %w", err)
	}
	cursors, client := page.NewCursors(keys), parts.DB.Client
	return handlers{
		signing.HTTP{Keys: s.keys},
		sessions.HTTP{Sessions: s.Sessions},
		auth.HTTP{Auth: s.Auth},
		roles.HTTP{Roles: roles.New(client)},
		users.HTTP{
			Users: users.New(client, parts.Hasher, s.Sessions, cursors), Identities: oauth.HTTP{OAuth: s.OAuth}.OfUser,
		},
		tenants.HTTP{Tenants: tenants.New(client, tenants.Options{
			Hasher: parts.Hasher, Auth: s.Auth, Limiter: s.Limiter, Cursors: cursors, Lifetimes: opts.Lifetimes,
			Signup: parts.Config.Signup == config.SignupOpen,
		})},
		oauth.HTTP{OAuth: s.OAuth},
		health{db: s.db, draining: &s.draining},
	}, nil
}

// newRouter returns the handler of the contract and of the API reference.
func (s *Server) newRouter(parts Parts, opts sessions.Options) (http.Handler, error) {
	contract, err := api.Contract()
	if err != nil {
		return nil, err
	}
	operations, err := s.newHandlers(parts, opts)
	if err != nil {
		return nil, err
	}
	cfg := parts.Config
	gin.SetMode(gin.ReleaseMode)
	router, err := httpapi.NewRouter(contract, operations, httpapi.Options{
		Log: s.log, Lines: jsonLines(s.log), CORSOrigins: cfg.CORSOrigins, TrustedProxies: cfg.TrustedProxies,
		ProxyHeader:  cfg.ProxyHeader,
		ServerTiming: cfg.ServerTiming, PublicPath: publicPath(cfg), HSTS: hsts(cfg), Tracer: parts.Tracer,
		Authenticators: []httpapi.Authenticator{s.Sessions.Authenticator()}, ActIn: s.Sessions.ActIn,
		Observe: s.metrics.observe, Unavailable: database.Unavailable,
		ReferenceDeleted: sqlgraph.IsForeignKeyConstraintError, OnInternalError: s.metrics.unforeseen,
	})
	if err != nil {
		return nil, fmt.Errorf("build the router: %w", err)
	}
	return router, serveReference(router, contract, publicPath(cfg))
}
