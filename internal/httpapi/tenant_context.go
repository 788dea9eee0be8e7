package httpapi

import (
	"context"
	"strings"

	"github.com/gin-gonic/gin"

	"tenantry/internal/principal"
	"tenantry/internal/problem"
)

// maxAuthorization bounds what is parsed of a client's credential, in bytes (CVE-2025-30204).
const maxAuthorization = 8 << 10

// tenantContext verifies the bearer token, once, and puts who acts and in which tenant into the request's context. The
// tenant comes from the token alone: no header, parameter or body names it. Where none is asked for, none is looked at.
func (r *router) tenantContext(c *gin.Context) {
	v := visitOf(c)
	if v.operation == nil || v.operation.public {
		return
	}
	token, presented, err := bearer(c)
	if err == nil && presented {
		var p *principal.Principal
		if p, err = r.Authenticate(v.Context, token); err == nil {
			v.acting = principal.Acting{Context: v.Context, Who: p}
			v.Context = &v.acting
		}
	}
	v.refusal = err
}

// bearer returns the token of the one Authorization header (RFC 6750 §2.1). Query and form are not looked at.
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

// Client returns the address and user agent of the request that a handler serves. The address is the socket's peer,
// unless that is a trusted proxy.
func Client(ctx context.Context) (ip, userAgent string) {
	c, ok := ctx.Value(gin.ContextKey).(*gin.Context)
	if !ok {
		return "", ""
	}
	return visitOf(c).client, c.Request.UserAgent()
}
