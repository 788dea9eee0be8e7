package httpapi

import (
	"context"
	"net/http"

	"github.com/gin-gonic/gin"
)

// Access to the parts of a browser's request and response that the contract's types do not have.

// Cookie returns the value of a cookie of the request, or "" if the request has no such cookie.
func Cookie(ctx context.Context, name string) string {
	c, ok := ctx.Value(gin.ContextKey).(*gin.Context)
	if !ok {
		return ""
	}
	cookie, err := c.Request.Cookie(name)
	if err != nil {
		return ""
	}
	return cookie.Value
}

// Cookies returns the cookies of the request, in order.
func Cookies(ctx context.Context) []*http.Cookie {
	c, ok := ctx.Value(gin.ContextKey).(*gin.Context)
	if !ok {
		return nil
	}
	return c.Request.Cookies()
}

// SetCookie adds a cookie to the response, which may be an error.
func SetCookie(ctx context.Context, cookie *http.Cookie) {
	if c, ok := ctx.Value(gin.ContextKey).(*gin.Context); ok {
		http.SetCookie(c.Writer, cookie)
	}
}

// Host returns the host that the request was sent to, with its port.
func Host(ctx context.Context) string {
	c, ok := ctx.Value(gin.ContextKey).(*gin.Context)
	if !ok {
		return ""
	}
	return c.Request.Host
}

// FormMember returns a form member that the contract does not declare, or "" if the form lacks it.
// The value is not validated.
func FormMember(ctx context.Context, name string) string {
	c, ok := ctx.Value(gin.ContextKey).(*gin.Context)
	if !ok || c.Request.PostForm == nil {
		return ""
	}
	return c.Request.PostForm.Get(name)
}
