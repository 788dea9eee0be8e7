package httpapi

import (
	"context"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"
)

// limits sets the deadline of the request and the size limit of its body.
func (r *router) limits(c *gin.Context) {
	req := requestOf(c)
	if req.operation == nil {
		return // a static document, or an error
	}
	ctx, cancel := context.WithDeadline(c.Request.Context(), req.began.Add(req.operation.timeout))
	defer cancel()
	c.Request = c.Request.WithContext(ctx)
	if c.Request.Body != http.NoBody {
		c.Request.Body = http.MaxBytesReader(c.Writer, c.Request.Body, req.operation.bodyLimit)
	}
	c.Next()
}

// Detached returns a context that ends after wait and not with the request, for work that must
// finish even if the client disconnects. The handler must cancel it before it returns.
func Detached(ctx context.Context, wait time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), wait)
}
