package httpapi

import (
	"strings"

	"github.com/gin-gonic/gin"

	"tenantry/internal/problem"
)

// maxAuthorization bounds the Authorization header before it is parsed, in bytes (CVE-2025-30204).
const maxAuthorization = 8 << 10

// tenantContext verifies the bearer token once and stores its principal in the request.
// The tenant comes from the token alone, never from a header, parameter or body. Public operations
// ignore the token.
func (r *router) tenantContext(c *gin.Context) {
	req := requestOf(c)
	if req.operation == nil || req.operation.public() {
		return
	}
	token, presented, err := bearer(c)
	if err != nil || !presented {
		req.refusal = err
		return
	}
	if req.authenticator = r.authenticatorOf(token); req.authenticator == nil {
		req.refusal = problem.Unauthorized("invalid_token", "The access token is not valid.")
		return
	}
	req.principal, req.refusal = req.authenticator.Authenticate(c.Request.Context(), token)
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
