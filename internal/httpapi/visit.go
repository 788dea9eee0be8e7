package httpapi

import (
	"context"
	"time"

	"github.com/gin-gonic/gin"

	"tenantry/internal/principal"
)

// visit is one request on its way: what the steps have found out so far. It is the request's context, which the steps extend in place,
// so that the request is copied once.
type visit struct {
	// Context is what the steps extend, and what they derive from. Whatever is derived from the visit itself must not become a part of it.
	context.Context
	began time.Time
	// client is the address of the client.
	client string
	// publicPath is what the public URL has before the path of the request.
	publicPath string
	// id names the request, and stands in a header of the answer.
	id [1]string
	// named is the context from which on RequestID returns it.
	named named
	// operation is what the contract says of the matched route, nil for one that is not in it.
	operation *operation
	// acting is who the credential speaks for, once it was verified.
	acting principal.Acting
	// trail is why the tenant filter was lifted, once it is a part of the way.
	trail principal.Trail
	// limited bounds the time of the request, once it is a part of the way.
	limited timed
	// refusal is what is wrong with the credential, if one is needed.
	refusal error
}

// visit begins the way of a request.
func (r *router) visit(c *gin.Context) {
	c.Request = c.Request.WithContext(&visit{
		Context: c.Request.Context(), began: time.Now(), operation: r.operations[route{c.Request.Method, c.FullPath()}],
		client: r.clientAddress(c.Request), publicPath: r.PublicPath,
	})
}

// visitOf returns the visit of a request that has begun its way.
func visitOf(c *gin.Context) *visit {
	return c.Request.Context().(*visit) //nolint:forcetypeassert // the first step has put it there, and nobody replaces it
}
