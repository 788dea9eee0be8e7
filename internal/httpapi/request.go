package httpapi

import (
	"context"
	"time"

	"github.com/gin-gonic/gin"

	"tenantry/internal/principal"
)

// request holds what the steps have established about one request. It is also the context of the
// request: the steps replace the inner Context, so that gin's request is copied only once.
type request struct {
	// Context is the inner context, which a step derives from and replaces. A step must never store
	// a context that is derived from the request itself here: Value would recurse without end.
	context.Context
	began time.Time
	// client is the address of the client.
	client string
	// publicPath is the part of the public URL's path that a proxy has removed.
	publicPath string
	// id is the request ID, which the response repeats in a header.
	id [1]string
	// withID is the context from which RequestID returns the ID.
	withID withID
	// operation is the operation of the matched route, nil for a route outside the contract.
	operation *operation
	// authenticated is the context with the principal of a verified credential.
	authenticated principal.WithPrincipal
	// record is the context that collects the bypass reasons, the tenant and the user.
	record principal.Record
	// limited is the context with the deadline of the request.
	limited lazyDeadline
	// refusal is the error of the credential. authorize returns it if the operation needs one.
	refusal error
}

// request stores a new request as the context of gin's request.
func (r *router) request(c *gin.Context) {
	c.Request = c.Request.WithContext(&request{
		Context: c.Request.Context(), began: time.Now(), operation: r.operations[route{c.Request.Method, c.FullPath()}],
		client: r.clientAddress(c.Request), publicPath: r.PublicPath,
	})
}

// requestOf returns the request that the first step has stored.
func requestOf(c *gin.Context) *request {
	return c.Request.Context().(*request) //nolint:forcetypeassert // the first step has stored it, and no later step replaces it
}
