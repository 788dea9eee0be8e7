package httpapi

import (
	"context"

	"github.com/gin-gonic/gin"
)

// NextLink returns the value of the header Link that names the next page of the list that a handler answers (RFC 8288).
func NextLink(ctx context.Context, cursor string) string {
	c, ok := ctx.Value(gin.ContextKey).(*gin.Context)
	if !ok {
		return ""
	}
	query := c.Request.URL.Query()
	query.Set("cursor", cursor)
	return "<" + visitOf(c).publicPath + c.Request.URL.EscapedPath() + "?" + query.Encode() + `>; rel="next"`
}
