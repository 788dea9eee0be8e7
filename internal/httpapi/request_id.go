package httpapi

import (
	"crypto/rand"
	"regexp"

	"github.com/gin-gonic/gin"
)

const requestIDHeader = "X-Request-Id"

// requestIDKey is where gin keeps the id.
const requestIDKey = "request_id"

// acceptable ids can stand in a log line and a header as they are.
var acceptable = regexp.MustCompile(`^[A-Za-z0-9._-]{8,64}$`)

// requestID names the request: by the name that a proxy gave it, if it is harmless, else by a new one.
func (r *router) requestID(c *gin.Context) {
	id := c.GetHeader(requestIDHeader)
	if !acceptable.MatchString(id) {
		id = rand.Text()
	}
	c.Set(requestIDKey, id)
	c.Header(requestIDHeader, id)
	c.Next()
}
