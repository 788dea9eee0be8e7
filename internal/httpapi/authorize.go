package httpapi

import (
	"errors"

	"github.com/gin-gonic/gin"

	"tenantry/internal/problem"
)

// authorize lets a request reach its handler if the operation is public, or if the credential is
// valid and has the scopes of the operation. It fails with 401 or 403. A route outside the contract
// has nothing to protect.
func (r *router) authorize(c *gin.Context) {
	req := requestOf(c)
	o := req.operation
	if o == nil || o.public {
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
	allowed, err := r.Authorize(c.Request.Context(), req.principal, o.scopes)
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
