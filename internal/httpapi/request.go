package httpapi

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"github.com/gin-gonic/gin"

	"tenantry/internal/principal"
)

// request holds what the steps have established about one request. The first step stores it in the
// context of the request, where the functions of this package that handlers call find it. It refers
// to no gin.Context, which gin reuses for later requests.
type request struct {
	began time.Time
	// http is the request as the client sent it, and header that of the response.
	http   *http.Request
	header http.Header
	// form has the members of a form body once it was read.
	form url.Values
	// client is the address of the client.
	client string
	// publicPath is the part of the public URL's path that a proxy has removed.
	publicPath string
	// id is the request ID, which the response repeats in a header.
	id string
	// operation is the operation of the matched route, nil for a route outside the contract.
	operation *operation
	// statements reads the number and the duration of the SQL statements so far.
	statements func() (int64, time.Duration)
	// record collects the bypass reasons, the tenant and the user.
	record principal.Record
	// authenticator is that of the presented credential, and principal that of the verified one. A
	// request without a credential has neither.
	authenticator *Authenticator
	principal     *principal.Principal
	// refusal is the error of the credential. authorize returns it if the operation needs one.
	refusal error
}

type requestKey struct{}

// request stores a new request in the context.
func (r *router) request(c *gin.Context) {
	req := &request{
		began: time.Now(), http: c.Request, header: c.Writer.Header(), client: r.clientAddress(c.Request),
		publicPath: r.PublicPath, operation: r.operations[route{c.Request.Method, c.FullPath()}],
	}
	ctx := context.WithValue(c.Request.Context(), requestKey{}, req)
	ctx, req.statements = r.CountStatements(principal.WithRecord(ctx, &req.record))
	c.Request = c.Request.WithContext(ctx)
}

// requestOf returns the request that the first step has stored.
func requestOf(c *gin.Context) *request {
	req, _ := requestFrom(c.Request.Context())
	return req
}

// requestFrom returns the request that ctx belongs to, false outside of a request.
func requestFrom(ctx context.Context) (*request, bool) {
	req, ok := ctx.Value(requestKey{}).(*request)
	return req, ok
}

// RequestID returns the ID of the request that ctx belongs to, or "" outside of a request.
func RequestID(ctx context.Context) string {
	if req, ok := requestFrom(ctx); ok {
		return req.id
	}
	return ""
}

// Client returns the address and user agent of the client. The address is the remote address of the
// socket, unless that is a trusted proxy.
func Client(ctx context.Context) (ip, userAgent string) {
	if req, ok := requestFrom(ctx); ok {
		return req.client, req.http.UserAgent()
	}
	return "", ""
}
