package httpapi

import (
	"errors"

	"github.com/gin-gonic/gin"

	"tenantry/internal/principal"
	"tenantry/internal/problem"
)

// authorize lets a request through to its handler if the operation is public, or if the credential is good for what the
// operation demands. A route outside the contract shows nothing that needs protection.
func (r *router) authorize(c *gin.Context) {
	v := visitOf(c)
	o := v.operation
	if o == nil || o.public {
		return
	}
	if v.refusal != nil {
		r.fail(c, v.refusal)
		return
	}
	if _, ok := principal.FromContext(v.Context); !ok {
		r.fail(c, problem.Unauthorized("unauthorized", "A bearer token is needed."))
		return
	}
	allowed, err := r.Authorize(v.Context, o.scopes)
	if err != nil {
		r.fail(c, err)
		return
	}
	if o.elsewhere && c.Query(tenantParameter) != "" {
		if allowed, err = r.ActIn(allowed, c.Query(tenantParameter)); err != nil {
			r.fail(c, err)
			return
		}
	}
	if allowed == nil {
		r.fail(c, problem.Internal(errors.New("authorization returned no context")))
		return
	}
	v.Context = allowed
}
