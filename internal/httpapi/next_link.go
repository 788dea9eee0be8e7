package httpapi

import (
	"context"

	"github.com/gin-gonic/gin"
)

// NextLink returns the Link header of the next page of a list (RFC 8288).
func NextLink(ctx context.Context, cursor string) string {
	c, ok := ctx.Value(gin.ContextKey).(*gin.Context)
	if !ok {
		return ""
	}
	query := c.Request.URL.Query()
	query.Set("cursor", cursor)
	return "<" + requestOf(c).publicPath + c.Request.URL.EscapedPath() + "?" + query.Encode() + `>; rel="next"`
}
