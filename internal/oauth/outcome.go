package oauth

import (
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"time"

	"github.com/google/uuid"

	"tenantry/ent"
	"tenantry/ent/oauthstate"
	"tenantry/internal/database"
	"tenantry/internal/httpapi"
	"tenantry/internal/principal"
	"tenantry/internal/problem"
	"tenantry/internal/sessions"
)

const (
	// purposeCode is the purpose of the one-time code of a callback, and codeTTL its lifetime.
	purposeCode = "oauth_code"
	codeTTL     = time.Minute
	// finishWithin bounds the work of a callback after it has consumed its state.
	finishWithin = 10 * time.Second
	// outcomeTTL is how long a browser that repeats its callback gets the same outcome: a minute
	// from the end of the flow on.
	outcomeTTL = finishWithin + time.Minute
	// pollEvery is how often a repeated callback looks whether the first one, on any instance, has
	// ended.
	pollEvery = 100 * time.Millisecond
)

// Outcome is the response to a callback: the URL that the browser is redirected to, or the tokens,
// or neither if an identity was linked.
type Outcome struct {
	URL    string
	Tokens *sessions.Tokens
}

// outcome is the outcome of a flow, which its row stores for a repeated callback. It contains no
// credential: a code is derived again from the secrets of the browser, and the tokens of a session
// are issued again.
type outcome struct {
	// Redirect says that the browser is redirected to the redirect_uri of the flow.
	Redirect bool          `json:"redirect,omitempty"`
	Code     bool          `json:"code,omitempty"`
	Linked   string        `json:"linked,omitempty"`
	Session  uuid.NullUUID `json:"session,omitzero"`
	Failure  *failure      `json:"failure,omitempty"`

	// tokens are those of the session, for the first callback.
	tokens *sessions.Tokens
}

// failure is a problem without its cause.
type failure struct {
	Status     int           `json:"status"`
	Code       string        `json:"code"`
	Detail     string        `json:"detail,omitempty"`
	RetryAfter time.Duration `json:"retry_after,omitempty"`
}

// keep stores the outcome of a flow. The response does not depend on it.
func (o *OAuth) keep(ctx context.Context, f *flow, end outcome) {
	ctx, cancel := httpapi.Detached(principal.NewContext(ctx, principal.InTenant(f.TenantID)), patience)
	defer cancel()
	encoded, err := json.Marshal(end)
	if err == nil {
		err = o.client.OAuthState.Update().Where(oauthstate.StateHash(hash(f.state))).SetOutcome(string(encoded)).
			Exec(ctx)
	}
	if err != nil {
		o.opts.Log.LogAttrs(ctx, slog.LevelWarn,
			"outcome of a sign-in was not stored: a repeated callback will be refused", slog.Any("error", err))
	}
}

// kept waits for the first callback of a flow and returns its outcome: 400 if it was interrupted.
func (o *OAuth) kept(ctx context.Context, f *flow) (end outcome, err error) {
	ticks := time.NewTicker(pollEvery)
	defer ticks.Stop()
	for f.Outcome == "" {
		if !o.opts.Clock().Before(f.ExpiresAt.Add(finishWithin - outcomeTTL)) {
			return outcome{}, errState
		}
		select {
		case <-ctx.Done():
			return outcome{}, fmt.Errorf("wait for the outcome of a flow: %w", ctx.Err())
		case <-ticks.C:
		}
		acting := principal.NewContext(ctx, principal.InTenant(f.TenantID))
		f.Outcome, err = o.client.OAuthState.Query().Where(oauthstate.StateHash(hash(f.state))).
			Select(oauthstate.FieldOutcome).String(acting)
		if ent.IsNotFound(err) { // another request has deleted the flow
			return outcome{}, errState
		}
		if err != nil {
			return outcome{}, fmt.Errorf("read the outcome of a flow: %w", err)
		}
	}
	if err := json.Unmarshal([]byte(f.Outcome), &end); err != nil {
		return outcome{}, fmt.Errorf("read the outcome of a flow: %w", err)
	}
	return end, nil
}

// answer returns the response for an outcome. The error is that of the first callback, with its
// cause; a repeated one has the problem alone.
func (o *OAuth) answer(ctx context.Context, f *flow, end outcome, err error) (*Outcome, error) {
	if end.Failure != nil && err == nil {
		err = &problem.Problem{Status: end.Failure.Status, Code: end.Failure.Code, Detail: end.Failure.Detail,
			RetryAfter: end.Failure.RetryAfter}
	}
	switch {
	case err != nil && end.Redirect:
		return nil, &httpapi.RedirectError{Err: err, To: func(p *problem.Problem) string {
			return with(f.RedirectURI, url.Values{
				"error": {standardError(p)}, "error_description": {cmp.Or(p.Detail, "The sign-in has failed.")},
				"error_code": {p.Code},
			})
		}}
	case err != nil:
		return nil, err
	case end.Code:
		return &Outcome{URL: with(f.RedirectURI, url.Values{"code": {f.oneTimeCode()}})}, nil
	case end.Linked != "" && end.Redirect:
		return &Outcome{URL: with(f.RedirectURI, url.Values{"linked": {end.Linked}})}, nil
	case end.tokens != nil:
		return &Outcome{Tokens: end.tokens}, nil
	case end.Session.Valid:
		tokens, err := o.opts.Sessions.FirstTokens(ctx, end.Session.UUID)
		if err == nil && tokens == nil {
			err = errState
		}
		return &Outcome{Tokens: tokens}, err
	default:
		return &Outcome{}, nil
	}
}

// oneTimeCode returns the code of a flow. It is derived from the two secrets of the browser, of
// which only hashes are stored: a repeated callback gets the same code, and a copy of the database
// reveals none.
func (f *flow) oneTimeCode() string {
	mac := hmac.New(sha256.New, []byte(f.browser))
	mac.Write([]byte("one-time code\n" + f.state))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// failureOf returns the problem of an error without its cause.
func failureOf(err error) *failure {
	p, ok := errors.AsType[*problem.Problem](err)
	switch {
	case database.Unavailable(err) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled):
		p = problem.Unavailable(nil)
	case !ok:
		p = problem.Internal(nil)
	}
	return &failure{p.Status, p.Code, p.Detail, p.RetryAfter}
}
