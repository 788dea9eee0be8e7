package httpapi

import (
	"context"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"
)

const (
	// deadline bounds the work on one request.
	deadline = 15 * time.Second
	// maxBody bounds a body, in bytes, with or without a declared length.
	maxBody = 64 << 10
)

// limits sets the deadline of the request and the size limit of its body.
func (r *router) limits(c *gin.Context) {
	ctx, cancel := context.WithDeadline(c.Request.Context(), requestOf(c).began.Add(deadline))
	defer cancel()
	c.Request = c.Request.WithContext(ctx)
	if c.Request.Body != http.NoBody {
		c.Request.Body = http.MaxBytesReader(c.Writer, c.Request.Body, maxBody)
	}
	c.Next()
}

// Detached returns a context that ends after wait and not with the request, for work that must
// finish even if the client disconnects. The handler must cancel it before it returns.
func Detached(ctx context.Context, wait time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), wait)
}
