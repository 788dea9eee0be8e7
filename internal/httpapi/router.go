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
	"tenantry/internal/problem"
)

// Options are the functions and settings that the steps need from other packages.
type Options struct {
	Log *slog.Logger
	// Lines receives the request log as JSON. It is nil if Log does not write JSON; Log then
	// receives it.
	Lines          io.Writer
	CORSOrigins    []string
	TrustedProxies []netip.Prefix
	// ProxyHeader is the header with the client address that trusted proxies set: "Forwarded", or
	// else X-Forwarded-For.
	ProxyHeader  string
	ServerTiming bool
	// PublicPath is the path of the public URL, such as /auth, "" if it has none. A proxy removes
	// it from requests, and URLs in responses begin with it.
	PublicPath string
	// HSTS is the value of Strict-Transport-Security. If it is empty, the header is not sent.
	HSTS string
	// Tracer creates a span for each request. If it is nil, the trace step is absent.
	Tracer trace.Tracer

	// Authenticators verify credentials: one for each security scheme of the contract.
	Authenticators []Authenticator
	// ActIn returns a context in which the principal of ctx acts in the tenant of a slug. It is
	// called for operations that allow that.
	ActIn func(ctx context.Context, slug string) (context.Context, error)
	// Observe returns the observer of an operation. It is called once per operation, and once with
	// "none" for requests that match none.
	Observe func(operation string) Observer
	// Unavailable reports whether an error is an outage of the database.
	Unavailable func(error) bool
	// ReferenceDeleted reports whether an error says that a resource that the request refers to was
	// deleted at the same time.
	ReferenceDeleted func(error) bool
	// OnInternalError, if set, is called with each error that is answered with 500.
	OnInternalError func(error)
}

// Observer is called after each request.
type Observer func(status int, took time.Duration, statements int64)

// step is one step of the pipeline, named after its file. It calls c.Next if it has work to do
// after the handler, and c.Abort to end the request.
type step struct {
	name   string
	handle gin.HandlerFunc
}

type router struct {
	Options
	operations map[route]*operation
	fixed      []header
	// proxies are the TrustedProxies, masked and unmapped.
	proxies []netip.Prefix
	// unmatched observes requests that match no operation.
	unmatched Observer
	// redirects are the paths of operations that redirect browsers.
	redirects map[string]bool
}

// NewRouter returns an engine that serves the contract with handlers. It fails if the profile
// of an operation is incomplete.
func NewRouter(contract *openapi3.T, handlers api.StrictServerInterface, opts Options) (*gin.Engine, error) {
	var schemes []string
	for _, a := range opts.Authenticators {
		schemes = append(schemes, a.Scheme)
	}
	operations, err := readOperations(contract, schemes)
	if err != nil {
		return nil, err
	}
	r := &router{Options: opts, operations: operations, fixed: fixedHeaders(opts.HSTS),
		proxies: unmapped(opts.TrustedProxies), redirects: map[string]bool{}}
	if opts.Observe == nil {
		r.Observe = func(string) Observer { return func(int, time.Duration, int64) {} }
	}
	r.unmatched = r.Observe("none")
	for at, o := range operations {
		if o.observe == nil { // HEAD shares the operation of GET
			o.observe = r.Observe(o.id)
		}
		if o.redirects {
			r.redirects[at.path] = true
		}
	}
	engine := gin.New()
	engine.HandleMethodNotAllowed = true
	engine.RedirectTrailingSlash = false
	// clientAddress replaces gin's own logic, which supports neither ports nor Forwarded.
	engine.ForwardedByClientIP = false
	for _, s := range r.steps() {
		engine.Use(s.handle)
	}
	engine.NoRoute(func(c *gin.Context) { r.fail(c, problem.NotFound()) })
	engine.NoMethod(func(c *gin.Context) { r.fail(c, problem.MethodNotAllowed()) })
	api.RegisterHandlersWithOptions(engine, api.NewStrictHandlerWithOptions(handlers, nil, api.StrictGinServerOptions{
		RequestErrorHandlerFunc: func(c *gin.Context, _ error) {
			r.fail(c, problem.Malformed("The body cannot be read."))
		},
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

// steps returns the pipeline. gin matches the route before the first step, and calls the handler
// after the last.
func (r *router) steps() []step {
	steps := []step{{"request", r.request}}
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
		{"validate", r.validate},
		{"authorize", r.authorize},
	}...)
}
