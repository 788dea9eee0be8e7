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
	o := r.operation(c)
	if o == nil || o.public {
		c.Next()
		return
	}
	ctx := c.Request.Context()
	shown, _ := ctx.Value(credentialKey{}).(credential)
	if shown.err != nil {
		r.fail(c, shown.err)
		return
	}
	if _, ok := principal.FromContext(ctx); !ok || !shown.presented {
		r.fail(c, problem.Unauthorized("unauthorized", "A bearer token is needed."))
		return
	}
	allowed, err := r.Authorize(ctx, o.scopes)
	if err != nil {
		r.fail(c, err)
		return
	}
	if slug := c.Query(tenantParameter); o.elsewhere && slug != "" {
		if allowed, err = r.ActIn(allowed, slug); err != nil {
			r.fail(c, err)
			return
		}
	}
	if allowed == nil {
		r.fail(c, problem.Internal(errors.New("authorization returned no context")))
		return
	}
	c.Request = c.Request.WithContext(allowed)
	c.Next()
}
