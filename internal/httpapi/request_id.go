package httpapi

import (
	"crypto/rand"
	"regexp"

	"github.com/gin-gonic/gin"
)

const requestIDHeader = "X-Request-Id"

// acceptable ids can stand in a log line and a header as they are.
var acceptable = regexp.MustCompile(`^[A-Za-z0-9._-]{8,64}$`)

// requestID names the request: by the name that a proxy gave it, if it is harmless, else by a new one.
func (r *router) requestID(c *gin.Context) {
	v, id := visitOf(c), c.GetHeader(requestIDHeader)
	if id == "" || !acceptable.MatchString(id) {
		id = rand.Text()
	}
	v.id[0] = id
	c.Writer.Header()[requestIDHeader] = v.id[:]
	c.Next()
}
