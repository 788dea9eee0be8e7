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

// limits gives the request a deadline and its body an end.
func (r *router) limits(c *gin.Context) {
	ctx, cancel := context.WithTimeout(c.Request.Context(), deadline)
	defer cancel()
	c.Request = c.Request.WithContext(ctx)
	if c.Request.Body != http.NoBody {
		c.Request.Body = http.MaxBytesReader(c.Writer, c.Request.Body, maxBody)
	}
	c.Next()
}
