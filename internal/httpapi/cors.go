package httpapi

import (
	"net/http"
	"slices"
	"strings"

	"github.com/gin-gonic/gin"
	"github.com/rs/cors"
)

// cors answers preflight requests and allows the configured origins, compared exactly, to read
// responses. The step is absent if no origin is configured. Tokens are sent in a header; the
// allowed cookies only bind a sign-in at a provider to its browser and do not authorise requests.
func (r *router) cors() gin.HandlerFunc {
	policy := cors.New(cors.Options{
		// Not AllowedOrigins, which folds case and treats * as a pattern.
		AllowOriginFunc: func(origin string) bool { return slices.Contains(r.CORSOrigins, origin) },
		AllowedMethods: []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch,
			http.MethodDelete},
		// Instrumented front ends add traceparent, tracestate and baggage to every request (W3C
		// Trace Context, Baggage).
		AllowedHeaders: []string{"Authorization", "Content-Type", requestIDHeader, "traceparent", "tracestate",
			"baggage"},
		ExposedHeaders:   []string{requestIDHeader, "Retry-After", "Link"},
		AllowCredentials: true,
		MaxAge:           600,
	})
	return func(c *gin.Context) {
		if r.redirectsBrowser(c) {
			return
		}
		policy.HandlerFunc(c.Writer, c.Request)
		if c.Request.Method == http.MethodOptions && c.GetHeader("Access-Control-Request-Method") != "" {
			c.AbortWithStatus(http.StatusNoContent)
		}
	}
}

// redirectsBrowser reports whether the operation redirects browsers. Browsers navigate to such an
// operation, and scripts must not call it (RFC 9700 §2.6).
func (r *router) redirectsBrowser(c *gin.Context) bool {
	if o := requestOf(c).operation; o != nil {
		return o.redirects
	}
	// gin matches no route for a preflight request.
	segments := strings.Split(c.Request.URL.Path, "/")
	for pattern := range r.redirects {
		if slices.EqualFunc(strings.Split(pattern, "/"), segments, func(want, got string) bool {
			return want == got || strings.HasPrefix(want, ":")
		}) {
			return true
		}
	}
	return false
}
