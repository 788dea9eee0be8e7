package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"math"
	"net/http"
	"strconv"

	"github.com/gin-gonic/gin"

	"tenantry/internal/api"
	"tenantry/internal/problem"
)

// fail ends the request with an error: a problem unchanged, an outage as 503, any other error as a
// 500 without detail. It is the only place that renders errors and logs their causes.
func (r *router) fail(c *gin.Context, err error) {
	c.Abort()
	p := r.problem(err)
	if p.Status == http.StatusInternalServerError && r.OnInternalError != nil {
		r.OnInternalError(err)
	}
	if p.Status >= http.StatusInternalServerError {
		level := slog.LevelError
		if p.Status != http.StatusInternalServerError { // a dependency has failed
			level = slog.LevelWarn
			if errors.Is(context.Cause(c.Request.Context()), context.Canceled) {
				level = slog.LevelInfo // the client has disconnected
			}
		}
		r.Log.LogAttrs(c.Request.Context(), level, "request failed",
			slog.String("request_id", requestOf(c).id), slog.String("code", p.Code), slog.Any("error", err))
	}
	if c.Writer.Written() {
		// The response has begun. A panic is net/http's only way to show the client that it is
		// incomplete.
		panic(http.ErrAbortHandler)
	}
	if redirect, ok := errors.AsType[*RedirectError](err); ok {
		c.Header("Location", redirect.To(p))
		c.Status(http.StatusSeeOther)
		return
	}
	if p.Status == http.StatusUnauthorized {
		c.Header("WWW-Authenticate", challenge(p))
	}
	if p.RetryAfter > 0 {
		c.Header("Retry-After", strconv.Itoa(int(math.Ceil(p.RetryAfter.Seconds()))))
	}
	write := errorFormat(writeProblem)
	if o := requestOf(c).operation; o != nil {
		write = o.writeError
		if o.errorPage && prefersHTML(c.GetHeader("Accept")) {
			write = writeErrorPage
		}
	}
	if err := write(c, p); err != nil {
		c.Status(http.StatusInternalServerError)
	}
}

// errorFormat writes a problem as the response.
type errorFormat func(c *gin.Context, p *problem.Problem) error

// errorFormats are the formats of errors by media type. The default response of an operation
// declares its format.
var errorFormats = map[string]errorFormat{mediaProblem: writeProblem}

// writeProblem writes a problem document (RFC 9457).
func writeProblem(c *gin.Context, p *problem.Problem) error {
	body, err := json.Marshal(document(p, requestOf(c).id))
	if err == nil {
		c.Data(p.Status, mediaProblem, body)
	}
	return err
}

func (r *router) problem(err error) *problem.Problem {
	// Outages first: the cause of a problem may be one.
	if r.Unavailable(err) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		p := problem.Unavailable(err)
		if original, ok := errors.AsType[*problem.Problem](err); ok && original.RetryAfter > 0 {
			p.RetryAfter = original.RetryAfter
		}
		return p
	}
	if p, ok := errors.AsType[*problem.Problem](err); ok {
		return p
	}
	if r.ReferenceDeleted(err) {
		return problem.Conflict("gone_meanwhile", "A resource that the request refers to was deleted at the same time.")
	}
	return problem.Internal(err)
}

// challenge returns the value of WWW-Authenticate (RFC 6750 §3, RFC 9470 §3). It has an error only
// if the request has a token.
func challenge(p *problem.Problem) string {
	if p.Code == "invalid_token" || p.Code == "insufficient_user_authentication" {
		return `Bearer error="` + p.Code + `"`
	}
	return "Bearer"
}

func document(p *problem.Problem, requestID string) api.Problem {
	d := api.Problem{Type: p.Type(), Title: p.Title(), Status: p.Status, Code: p.Code, RequestID: requestID}
	if p.Detail != "" {
		d.Detail = &p.Detail
	}
	if len(p.Fields) > 0 {
		d.Errors = &[]api.ProblemError{}
	}
	for _, f := range p.Fields {
		e := api.ProblemError{Detail: f.Detail}
		if f.Parameter != "" {
			e.Parameter = &f.Parameter
		} else {
			e.Pointer = &f.Pointer
		}
		*d.Errors = append(*d.Errors, e)
	}
	return d
}
