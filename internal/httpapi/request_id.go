package httpapi

import (
	"encoding/base32"
	"encoding/binary"
	"math/rand/v2"
	"regexp"

	"github.com/gin-gonic/gin"
)

const requestIDHeader = "X-Request-Id"

// acceptable matches IDs that need no escaping in a log line or a header.
var acceptable = regexp.MustCompile(`^[A-Za-z0-9._-]{8,64}$`)

// requestID sets the ID of the request: the one of the request header if acceptable, else a new
// one.
func (r *router) requestID(c *gin.Context) {
	req, id := requestOf(c), c.GetHeader(requestIDHeader)
	if id == "" || !acceptable.MatchString(id) {
		id = newID()
	}
	req.id = id
	req.header.Set(requestIDHeader, id)
}

// idEncoding is the encoding of crypto/rand.Text.
var idEncoding = base32.StdEncoding.WithPadding(base32.NoPadding)

// newID returns a random ID of 128 bits. It is not a secret, so it does not use crypto/rand, which
// takes ten times as long.
func newID() string {
	var id [16]byte
	binary.NativeEndian.PutUint64(id[:8], rand.Uint64()) //nolint:gosec // see above
	binary.NativeEndian.PutUint64(id[8:], rand.Uint64()) //nolint:gosec // see above
	return idEncoding.EncodeToString(id[:])
}
