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

// fail ends the request with an error: a problem as it is, an outage as 503, everything unforeseen as a bare 500. It is
// the only place that writes an error, and the only one that logs a cause.
func (r *router) fail(c *gin.Context, err error) {
	c.Abort()
	p := r.problem(err)
	if p.Status == http.StatusInternalServerError && r.Unforeseen != nil {
		r.Unforeseen(err)
	}
	if p.Status >= http.StatusInternalServerError {
		level := slog.LevelError
		if p.Status != http.StatusInternalServerError { // somebody else's failure
			level = slog.LevelWarn
			if errors.Is(context.Cause(c.Request.Context()), context.Canceled) {
				level = slog.LevelInfo // the client has gone, and nothing of ours
			}
		}
		r.Log.LogAttrs(c.Request.Context(), level, "request failed",
			slog.String("request_id", visitOf(c).id[0]), slog.String("code", p.Code), slog.Any("error", err))
	}
	if c.Writer.Written() {
		// The answer has begun. The client must see that it was cut off, and net/http has this way alone.
		panic(http.ErrAbortHandler)
	}
	if away, ok := errors.AsType[*ElsewhereError](err); ok {
		c.Header("Location", away.To(p))
		c.Status(http.StatusSeeOther)
		return
	}
	body, err := json.Marshal(document(p, visitOf(c).id[0]))
	if err != nil {
		c.Status(http.StatusInternalServerError)
		return
	}
	if p.Status == http.StatusUnauthorized {
		c.Header("WWW-Authenticate", challenge(p))
	}
	if p.RetryAfter > 0 {
		c.Header("Retry-After", strconv.Itoa(int(math.Ceil(p.RetryAfter.Seconds()))))
	}
	if o := visitOf(c).operation; o != nil && o.leading && prefersHTML(c.GetHeader("Accept")) {
		r.failPage(c, p)
		return
	}
	c.Data(p.Status, "application/problem+json", body)
}

func (r *router) problem(err error) *problem.Problem {
	// Before the problem itself: what went wrong on the way to one may have been an outage.
	if r.Unavailable(err) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		p := problem.Unavailable(err)
		if known, ok := errors.AsType[*problem.Problem](err); ok && known.RetryAfter > 0 {
			p.RetryAfter = known.RetryAfter
		}
		return p
	}
	if p, ok := errors.AsType[*problem.Problem](err); ok {
		return p
	}
	if r.Gone(err) {
		return problem.Conflict("gone_meanwhile", "What the request refers to was deleted meanwhile.")
	}
	return problem.Internal(err)
}

// challenge is the value of WWW-Authenticate (RFC 6750 §3, RFC 9470 §3): a reason only for who has shown a token.
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
