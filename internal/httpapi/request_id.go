package httpapi

import (
	"context"
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
	v.named = named{v.Context, id}
	v.Context = &v.named
	c.Writer.Header()[requestIDHeader] = v.id[:]
}

// named is a context of a request with an ID.
type named struct {
	context.Context
	id string
}

type requestIDKey struct{}

// Value returns the ID, or what the context holds otherwise.
func (n *named) Value(key any) any {
	if key == (requestIDKey{}) {
		return n.id
	}
	return n.Context.Value(key)
}

// RequestID returns the ID of the request that ctx belongs to, or "" outside of a request.
func RequestID(ctx context.Context) string {
	id, _ := ctx.Value(requestIDKey{}).(string)
	return id
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
