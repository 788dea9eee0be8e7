package problem

import (
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Problem is an error that is rendered as a response. Everything but its cause may be shown to a
// client.
type Problem struct {
	// Status is the HTTP status.
	Status int
	// Code is stable, in snake_case, and for programs.
	Code string
	// Detail is a sentence for people. It never contains a secret.
	Detail string
	// Fields are the invalid members and parameters.
	Fields []Field
	// RetryAfter, if positive, is how long the client should wait before it retries.
	RetryAfter time.Duration

	cause error
}

// Field is an invalid member of the body or an invalid parameter.
type Field struct {
	// Pointer is a JSON pointer into the body (RFC 6901).
	Pointer string
	// Parameter is the name of a path or query parameter.
	Parameter string
	// Detail describes the error without the value.
	Detail string
}

// Error returns the code and the cause, for logs.
func (p *Problem) Error() string {
	if p.cause != nil {
		return p.Code + ": " + p.cause.Error()
	}
	return p.Code
}

// Unwrap returns the private cause.
func (p *Problem) Unwrap() error { return p.cause }

// Because returns a copy of p with a private cause.
func (p *Problem) Because(err error) *Problem {
	with := *p
	with.cause = err
	return &with
}

// Type returns the URI of the problem type.
func (p *Problem) Type() string { return "urn:tenantry:problem:" + p.Code }

// Title returns the standard phrase of the status.
func (p *Problem) Title() string { return http.StatusText(p.Status) }

// Malformed is the problem of a request that cannot be parsed.
func Malformed(detail string, fields ...Field) *Problem {
	return &Problem{Status: http.StatusBadRequest, Code: "malformed_request", Detail: detail, Fields: fields}
}

// InvalidParameter is the problem of a path or query parameter with an invalid value.
func InvalidParameter(name, detail string) *Problem {
	return InvalidParameters(Field{Parameter: name, Detail: detail})
}

// InvalidParameters is the problem of path or query parameters that are invalid or unknown.
func InvalidParameters(fields ...Field) *Problem {
	return &Problem{Status: http.StatusBadRequest, Code: "invalid_parameter", Detail: "A parameter is not valid.",
		Fields: fields}
}

// Invalid is the problem of a request that can be parsed and has invalid values.
func Invalid(fields ...Field) *Problem {
	return &Problem{Status: http.StatusUnprocessableEntity, Code: "invalid_request",
		Detail: "The request has invalid values.",
		Fields: fields}
}

// Under returns an error with the pointers of its fields below a parent member: /email of an
// account becomes /owner/email where the account is a member of the request.
func Under(err error, parent string) error {
	p, ok := errors.AsType[*Problem](err)
	if !ok {
		return err
	}
	under := *p
	under.Fields = slices.Clone(p.Fields)
	for i := range under.Fields {
		under.Fields[i].Pointer = parent + under.Fields[i].Pointer
	}
	return &under
}

// Unauthorized is the problem of a request without a valid credential.
func Unauthorized(code, detail string) *Problem {
	return &Problem{Status: http.StatusUnauthorized, Code: code, Detail: detail}
}

// Forbidden is the problem of a caller that lacks a permission on an object that it may read.
func Forbidden(code, detail string) *Problem {
	return &Problem{Status: http.StatusForbidden, Code: code, Detail: detail}
}

// NotFound is the problem of an object that does not exist or belongs to another tenant: the
// response is the same.
func NotFound() *Problem {
	return &Problem{Status: http.StatusNotFound, Code: "not_found", Detail: "There is no such resource."}
}

// Conflict is the problem of a request that conflicts with the current state.
func Conflict(code, detail string) *Problem {
	return &Problem{Status: http.StatusConflict, Code: code, Detail: detail}
}

// TooLarge is the problem of a body of more bytes than the limit.
func TooLarge(limit int64) *Problem {
	return &Problem{Status: http.StatusRequestEntityTooLarge, Code: "body_too_large",
		Detail: "The body has more than " + strconv.FormatInt(limit, 10) + " bytes."}
}

// UnsupportedMediaType is the problem of a body of another type than the operation accepts.
func UnsupportedMediaType(accepted string) *Problem {
	return &Problem{Status: http.StatusUnsupportedMediaType, Code: "unsupported_media_type",
		Detail: "The body must be " + accepted + " in UTF-8, not compressed."}
}

// MethodNotAllowed is the problem of a method that the resource does not support.
func MethodNotAllowed() *Problem {
	return &Problem{Status: http.StatusMethodNotAllowed, Code: "method_not_allowed",
		Detail: "The resource has no such method."}
}

// TooMany is the problem of a client that must wait before the next attempt.
func TooMany(wait time.Duration) *Problem {
	return &Problem{Status: http.StatusTooManyRequests, Code: "too_many_attempts",
		Detail:     "There were too many attempts. Try again later.",
		RetryAfter: wait}
}

// Unavailable is the problem of a dependency that is down or a queue that is full. The client may
// send the request again.
func Unavailable(cause error) *Problem {
	return &Problem{Status: http.StatusServiceUnavailable, Code: "unavailable",
		Detail:     "The service cannot answer now.",
		RetryAfter: time.Second, cause: cause}
}

// Internal is the problem of an unexpected error.
func Internal(cause error) *Problem {
	return &Problem{Status: http.StatusInternalServerError, Code: "internal_error", cause: cause}
}

// Sentences returns the text of an error for a terminal: the detail and the fields of a problem, or
// the text of another error.
func Sentences(err error) string {
	p, ok := errors.AsType[*Problem](err)
	if !ok {
		return err.Error()
	}
	sentences := []string{p.Detail}
	for _, f := range p.Fields {
		sentences = append(sentences, strings.TrimPrefix(f.Pointer, "/")+" "+f.Detail)
	}
	return strings.Join(sentences, " ")
}
