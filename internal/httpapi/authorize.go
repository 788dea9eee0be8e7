package httpapi

import (
	"errors"

	"github.com/gin-gonic/gin"

	"tenantry/internal/problem"
)

// authorize lets a request reach its handler if the operation is public, or if the credential is
// valid, of an accepted kind and has the scopes of the operation. It fails with 401 or 403. A route
// outside the contract has nothing to protect.
func (r *router) authorize(c *gin.Context) {
	req := requestOf(c)
	o := req.operation
	if o == nil || o.public() {
		return
	}
	if req.refusal != nil {
		r.fail(c, req.refusal)
		return
	}
	if req.principal == nil || req.principal.IsAnonymous() {
		r.fail(c, problem.Unauthorized("unauthorized", "A bearer token is required."))
		return
	}
	scopes, accepted := o.scopes[req.authenticator.Scheme]
	if !accepted {
		r.fail(c, problem.Forbidden("forbidden", "The operation does not accept this kind of credential."))
		return
	}
	allowed, err := req.authenticator.Authorize(c.Request.Context(), req.principal, scopes)
	if err != nil {
		r.fail(c, err)
		return
	}
	if o.crossTenant && c.Query(tenantParameter) != "" {
		if allowed, err = r.ActIn(allowed, c.Query(tenantParameter)); err != nil {
			r.fail(c, err)
			return
		}
	}
	if allowed == nil {
		r.fail(c, problem.Internal(errors.New("authorization returned no context")))
		return
	}
	c.Request = c.Request.WithContext(allowed)
}
