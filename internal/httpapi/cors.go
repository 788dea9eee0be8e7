package httpapi

import (
	"net/http"
	"slices"
	"strings"

	"github.com/gin-gonic/gin"
	"github.com/rs/cors"
)

// cors answers preflight requests and names the origins that may read an answer: those of the list, compared exactly.
// Without a list no origin may, and there is no such step. Tokens travel in a header; the cookies that are allowed bind the browser of
// a sign-in at a provider, and authorise nobody.
func (r *router) cors() gin.HandlerFunc {
	policy := cors.New(cors.Options{
		// Not AllowedOrigins, which folds case and reads a star as a pattern.
		AllowOriginFunc: func(origin string) bool { return slices.Contains(r.CORSOrigins, origin) },
		AllowedMethods:  []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete},
		// traceparent, tracestate and baggage are what instrumented front ends add to every request (W3C Trace Context, Baggage).
		AllowedHeaders:   []string{"Authorization", "Content-Type", requestIDHeader, "traceparent", "tracestate", "baggage"},
		ExposedHeaders:   []string{requestIDHeader, "Retry-After", "Link"},
		AllowCredentials: true,
		MaxAge:           600,
	})
	return func(c *gin.Context) {
		if r.led(c) {
			return
		}
		policy.HandlerFunc(c.Writer, c.Request)
		if c.Request.Method == http.MethodOptions && c.GetHeader("Access-Control-Request-Method") != "" {
			c.AbortWithStatus(http.StatusNoContent)
		}
	}
}

// led reports whether a path leads browsers on. They are led to it as well, and no script has any business there (RFC 9700 §2.6).
func (r *router) led(c *gin.Context) bool {
	if o := visitOf(c).operation; o != nil {
		return o.leading
	}
	// No route is matched by a preflight.
	segments := strings.Split(c.Request.URL.Path, "/")
	for pattern := range r.leading {
		if slices.EqualFunc(strings.Split(pattern, "/"), segments, func(want, got string) bool { return want == got || strings.HasPrefix(want, ":") }) {
			return true
		}
	}
	return false
}
