package problem

import (
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Problem is an error with an answer. It is safe to show but for its cause.
type Problem struct {
	// Status is the HTTP status.
	Status int
	// Code is stable, in snake_case, and made for programs.
	Code string
	// Detail is a sentence for people. It never repeats a secret.
	Detail string
	// Fields are the members and parameters that are wrong.
	Fields []Field
	// RetryAfter, if positive, tells the client when to come again.
	RetryAfter time.Duration

	cause error
}

// Field is one wrong member of the body or one wrong parameter.
type Field struct {
	// Pointer is a JSON pointer into the body (RFC 6901).
	Pointer string
	// Parameter is the name of a path or query parameter.
	Parameter string
	// Detail says what is wrong with it, never what it was.
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

// Type returns the URI that names the kind of problem.
func (p *Problem) Type() string { return "urn:tenantry:problem:" + p.Code }

// Title returns the standard phrase of the status.
func (p *Problem) Title() string { return http.StatusText(p.Status) }

// Malformed is a request that cannot be understood.
func Malformed(detail string, fields ...Field) *Problem {
	return &Problem{Status: http.StatusBadRequest, Code: "malformed_request", Detail: detail, Fields: fields}
}

// InvalidParameter is a path or query parameter with a wrong value.
func InvalidParameter(name, detail string) *Problem {
	return InvalidParameters(Field{Parameter: name, Detail: detail})
}

// InvalidParameters are path or query parameters that are wrong or unknown.
func InvalidParameters(fields ...Field) *Problem {
	return &Problem{Status: http.StatusBadRequest, Code: "invalid_parameter", Detail: "A parameter is not valid.",
		Fields: fields}
}

// Invalid is a request that is understood and has wrong values.
func Invalid(fields ...Field) *Problem {
	return &Problem{Status: http.StatusUnprocessableEntity, Code: "invalid_request",
		Detail: "The request has invalid values.",
		Fields: fields}
}

// Under puts the members that an error names under another: what is /email in an account is
// /owner/email where the account is a part of the request.
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

// Unauthorized is a request without a valid credential.
func Unauthorized(code, detail string) *Problem {
	return &Problem{Status: http.StatusUnauthorized, Code: code, Detail: detail}
}

// Forbidden is an act that the caller may not perform on what they may know of.
func Forbidden(code, detail string) *Problem {
	return &Problem{Status: http.StatusForbidden, Code: code, Detail: detail}
}

// NotFound is an object that does not exist, or that belongs to another tenant: the answer is the
// same.
func NotFound() *Problem {
	return &Problem{Status: http.StatusNotFound, Code: "not_found", Detail: "There is no such resource."}
}

// Conflict is a request that contradicts what exists.
func Conflict(code, detail string) *Problem {
	return &Problem{Status: http.StatusConflict, Code: code, Detail: detail}
}

// TooLarge is a body of more bytes than the limit.
func TooLarge(limit int64) *Problem {
	return &Problem{Status: http.StatusRequestEntityTooLarge, Code: "body_too_large",
		Detail: "The body has more than " + strconv.FormatInt(limit, 10) + " bytes."}
}

// UnsupportedMediaType is a body of another type than the operation takes.
func UnsupportedMediaType(want string) *Problem {
	return &Problem{Status: http.StatusUnsupportedMediaType, Code: "unsupported_media_type",
		Detail: "The body must be " + want + " in UTF-8, not compressed."}
}

// MethodNotAllowed is a method that the resource does not have.
func MethodNotAllowed() *Problem {
	return &Problem{Status: http.StatusMethodNotAllowed, Code: "method_not_allowed",
		Detail: "The resource has no such method."}
}

// TooMany is a client who has to wait before the next attempt.
func TooMany(wait time.Duration) *Problem {
	return &Problem{Status: http.StatusTooManyRequests, Code: "too_many_attempts",
		Detail:     "There were too many attempts. Try again later.",
		RetryAfter: wait}
}

// Unavailable is a dependency that is down or a queue that is full. It says nothing about the
// request, which may be sent again.
func Unavailable(cause error) *Problem {
	return &Problem{Status: http.StatusServiceUnavailable, Code: "unavailable",
		Detail:     "The service cannot answer now.",
		RetryAfter: time.Second, cause: cause}
}

// Internal is everything unforeseen.
func Internal(cause error) *Problem {
	return &Problem{Status: http.StatusInternalServerError, Code: "internal_error", cause: cause}
}

// Sentences returns what an error says on a terminal: the detail and the fields of a problem, the
// text of any other error.
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
