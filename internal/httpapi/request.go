package httpapi

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/google/uuid"

	"tenantry/internal/principal"
)

// request is the context of one request, and holds what the steps have established about it. The
// functions of this package that handlers call find it in their context. It refers to no
// gin.Context, which gin reuses for later requests.
type request struct {
	// Context is limited for an operation, and else that of net/http.
	context.Context
	limited lazyDeadline

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
	// record collects the tenant, the user, the bypass reasons and the SQL statements.
	record principal.Record
	// authenticator is that of the presented credential, and principal that of the verified one. A
	// request without a credential has neither.
	authenticator *Authenticator
	principal     *principal.Principal
	// refusal is the error of the credential. authorize returns it if the operation needs one.
	refusal error
}

type requestKey struct{}

// Value returns the request itself, or a value of its parent.
func (r *request) Value(key any) any {
	if key == (requestKey{}) {
		return r
	}
	return r.Context.Value(key)
}

// request makes a new request the context of the later steps. An operation sets the deadline of the
// context and the size limit of the body; other routes are static documents or errors.
func (r *router) request(c *gin.Context) {
	req := &request{
		Context: c.Request.Context(), began: time.Now(), http: c.Request, header: c.Writer.Header(),
		client: r.clientAddress(c.Request), publicPath: r.PublicPath,
		operation: r.operations[route{c.Request.Method, c.FullPath()}],
	}
	body := c.Request.Body
	if o := req.operation; o != nil {
		req.limited.Context, req.limited.deadline = req.Context, req.began.Add(o.timeout)
		defer req.limited.stop()
		req.Context = &req.limited
		if body != http.NoBody {
			body = http.MaxBytesReader(c.Writer, body, o.bodyLimit)
		}
	}
	c.Request = c.Request.WithContext(principal.WithRecord(req, &req.record))
	c.Request.Body = body
	c.Next()
}

// identified returns the tenant and user of the request, or zero values while they are unknown.
func (r *request) identified() (tenant, user uuid.UUID) {
	if r.principal != nil {
		return r.principal.TenantID, r.principal.UserID
	}
	return r.record.Identified()
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
