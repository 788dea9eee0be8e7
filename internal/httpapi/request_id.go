package httpapi

import (
	"encoding/base32"
	"encoding/binary"
	"math/rand/v2"
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
		id = newID()
	}
	v.id[0] = id
	c.Writer.Header()[requestIDHeader] = v.id[:]
}

// letters of an id, as crypto/rand.Text has them.
var letters = base32.StdEncoding.WithPadding(base32.NoPadding)

// newID returns a name of 128 bits. It is no secret, so that it need not come from where secrets do, which takes ten times as long.
func newID() string {
	var id [16]byte
	binary.NativeEndian.PutUint64(id[:8], rand.Uint64()) //nolint:gosec // see above
	binary.NativeEndian.PutUint64(id[8:], rand.Uint64()) //nolint:gosec // see above
	return letters.EncodeToString(id[:])
}
