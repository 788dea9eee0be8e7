package httpapi

import (
	"context"
	"strings"

	"github.com/gin-gonic/gin"

	"tenantry/internal/principal"
	"tenantry/internal/problem"
)

// maxAuthorization bounds the Authorization header before it is parsed, in bytes (CVE-2025-30204).
const maxAuthorization = 8 << 10

// tenantContext verifies the bearer token once and stores its principal in the request's context.
// The tenant comes from the token alone, never from a header, parameter or body. Public operations
// ignore the token.
func (r *router) tenantContext(c *gin.Context) {
	req := requestOf(c)
	if req.operation == nil || req.operation.public {
		return
	}
	token, presented, err := bearer(c)
	if err == nil && presented {
		var p *principal.Principal
		if p, err = r.Authenticate(req.Context, token); err == nil {
			req.authenticated = principal.WithPrincipal{Context: req.Context, Principal: p}
			req.Context = &req.authenticated
		}
	}
	req.refusal = err
}

// bearer returns the token of the only Authorization header (RFC 6750 §2.1). It ignores tokens in
// the query and in forms.
func bearer(c *gin.Context) (token string, presented bool, err error) {
	values := c.Request.Header["Authorization"]
	if len(values) == 0 {
		return "", false, nil
	}
	scheme, token, found := strings.Cut(values[0], " ")
	if len(values) > 1 || !found || !strings.EqualFold(scheme, "Bearer") || len(values[0]) > maxAuthorization {
		return "", true, problem.Unauthorized("invalid_token", "The Authorization header must be one bearer token.")
	}
	return token, true, nil
}

// Client returns the address and user agent of the client. The address is the remote address of the
// socket, unless that is a trusted proxy.
func Client(ctx context.Context) (ip, userAgent string) {
	c, ok := ctx.Value(gin.ContextKey).(*gin.Context)
	if !ok {
		return "", ""
	}
	return requestOf(c).client, c.Request.UserAgent()
}
