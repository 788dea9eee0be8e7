package httpapi

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/gin-gonic/gin"
	"go.opentelemetry.io/otel/trace"

	"tenantry/internal/api"
	"tenantry/internal/principal"
	"tenantry/internal/problem"
)

// Options are what the steps need from the layers above and beside them.
type Options struct {
	Log *slog.Logger
	// Lines takes the line of each request in JSON, if that is what Log writes. Otherwise it is nil, and Log takes them.
	Lines          io.Writer
	CORSOrigins    []string
	TrustedProxies []netip.Prefix
	// ProxyHeader is where trusted proxies name the client: "Forwarded", or else X-Forwarded-For.
	ProxyHeader  string
	ServerTiming bool
	// PublicPath is the path of the public URL, such as /auth, "" if it has none. A proxy removes it from requests, and URLs in
	// answers begin with it.
	PublicPath string
	// HSTS is the value of Strict-Transport-Security. Without one the header is not sent.
	HSTS string
	// Tracer makes a span of each request. Without one no request is traced, and there is no step for it.
	Tracer trace.Tracer

	// Authenticate verifies an access token and returns who acts with it, here and elsewhere: nobody may change them.
	Authenticate func(ctx context.Context, token string) (*principal.Principal, error)
	// Authorize checks against the database that the principal of ctx is still who the token says, and holds the scopes.
	// The context that it returns is the handler's.
	Authorize func(ctx context.Context, scopes []string) (context.Context, error)
	// ActIn lets the principal of ctx act in the tenant of a slug, where an operation allows that.
	ActIn func(ctx context.Context, slug string) (context.Context, error)
	// Observe returns who is told of each request of an operation that was answered. It is asked once for each, and for "none".
	Observe func(operation string) Observer
	// CountStatements starts the count of SQL statements of a request.
	CountStatements func(context.Context) (context.Context, func() (int64, time.Duration))
	// Unavailable tells an outage of the database from a mistake.
	Unavailable func(error) bool
	// Gone says that what a request was about to refer to was deleted meanwhile.
	Gone func(error) bool
	// Unforeseen is told of each error that is answered with a bare 500.
	Unforeseen func(error)
}

// Observer is told of a request that was answered.
type Observer func(status int, took time.Duration, statements int64)

// step is one part of the way. Its name is its file's. It calls c.Next if there is something left to do after the handler, and aborts a request
// that goes no further.
type step struct {
	name   string
	handle gin.HandlerFunc
}

type router struct {
	Options
	operations map[route]*operation
	fixed      []header
	// proxies are TrustedProxies as addresses are compared with them.
	proxies []netip.Prefix
	// unmatched is told of requests of no operation.
	unmatched Observer
	// leading are the paths of operations that answer with another address.
	leading map[string]bool
}

// NewRouter returns the engine that serves the contract through handlers.
func NewRouter(contract *openapi3.T, handlers api.StrictServerInterface, opts Options) (*gin.Engine, error) {
	operations, err := readOperations(contract)
	if err != nil {
		return nil, err
	}
	r := &router{Options: opts, operations: operations, fixed: fixedHeaders(opts.HSTS), proxies: unmapped(opts.TrustedProxies), leading: map[string]bool{}}
	if opts.Observe == nil {
		r.Observe = func(string) Observer { return func(int, time.Duration, int64) {} }
	}
	r.unmatched = r.Observe("none")
	for at, o := range operations {
		if o.observe == nil { // that of HEAD is that of GET
			o.observe = r.Observe(o.id)
		}
		if o.leading {
			r.leading[at.path] = true
		}
	}
	engine := gin.New()
	engine.HandleMethodNotAllowed = true
	engine.RedirectTrailingSlash = false
	// Handlers receive *gin.Context as their context: its values and deadline are the request's.
	engine.ContextWithFallback = true
	// The first step finds the client's address. gin's own way knows no ports, and no Forwarded.
	engine.ForwardedByClientIP = false
	for _, s := range r.steps() {
		engine.Use(s.handle)
	}
	engine.NoRoute(func(c *gin.Context) { r.fail(c, problem.NotFound()) })
	engine.NoMethod(func(c *gin.Context) { r.fail(c, problem.MethodNotAllowed()) })
	api.RegisterHandlersWithOptions(engine, api.NewStrictHandlerWithOptions(handlers, nil, api.StrictGinServerOptions{
		RequestErrorHandlerFunc:  func(c *gin.Context, _ error) { r.fail(c, problem.Malformed("The body cannot be read.")) },
		HandlerErrorFunc:         r.fail,
		ResponseErrorHandlerFunc: r.fail,
	}), api.GinServerOptions{
		ErrorHandler: func(c *gin.Context, _ error, _ int) {
			r.fail(c, problem.Malformed("A parameter cannot be read."))
		},
	})
	r.serveHead(engine)
	return engine, nil
}

// serveHead serves HEAD with the handler of GET. net/http sends no body.
func (r *router) serveHead(engine *gin.Engine) {
	for _, declared := range engine.Routes() {
		if _, ok := r.operations[route{http.MethodHead, declared.Path}]; ok && declared.Method == http.MethodGet {
			engine.HEAD(declared.Path, declared.HandlerFunc)
		}
	}
}

// steps returns the way of a request. gin has found the route before the first of them, and calls the handler after the
// last.
func (r *router) steps() []step {
	steps := []step{{"visit", r.visit}}
	if r.Tracer != nil {
		steps = append(steps, step{"trace", r.trace})
	}
	steps = append(steps, step{"headers", r.headers})
	if len(r.CORSOrigins) > 0 {
		steps = append(steps, step{"cors", r.cors()})
	}
	return append(steps, []step{
		{"request_id", r.requestID},
		{"recover", r.recover},
		{"tenant_context", r.tenantContext},
		{"request_log", r.requestLog},
		{"limits", r.limits},
		{"validate", r.validate},
		{"authorize", r.authorize},
	}...)
}
